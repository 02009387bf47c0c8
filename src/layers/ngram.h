#pragma once
#include "layers/linear.h"
#include "layers/rereading.h"

namespace tessera {

struct NgramMixerOptions {
  int64_t dim = 768, order = 1;  ///< order: how many words must agree
};

/// A static n-gram head with two linear layers (Akyürek et al., 2024): each token reads the mean of what followed where
/// its last `order` words stood before, as an induction head does once it is learned. It has to know the words, which
/// are Tokens::ids; a token that is no word agrees with none.
class NgramMixer : public RereadingMixer {
 public:
  explicit NgramMixer(const NgramMixerOptions& options);

 protected:
  /// @throws Error where the tokens' ids are not known
  Tensor mix(const Tokens& tokens) override;

 private:
  int64_t order_;
  std::shared_ptr<Linear> followers_, own_;
};

/// For every token t the mean of x[s] over all s < t where the `order` words up to s - shift are those up to t; zeros
/// where there are none.
/// @param x    B x L x D
/// @param ids  B x L; negative: no word
Tensor induction_head(const Tensor& x, const Tensor& ids, int64_t order, int64_t shift = 1);

}  // namespace tessera

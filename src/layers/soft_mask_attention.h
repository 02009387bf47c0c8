#pragma once
#include <optional>

#include "layers/linear.h"
#include "layers/mixer.h"
#include "layers/rotary.h"

namespace tessera {

struct SoftMaskOptions {
  int64_t dim = 768, heads = 12;
  bool qkv_bias = true;
  double theta = 10000;  ///< of rotary positions along the sequence
  double rate = 0;       ///< while training: how much of what is later is seen; see soft_mask_rates()
};

/// The causal attention of iLLaMA (Wang et al., 2024): a softmax over all tokens, and then a factor for each pair: one
/// for what is not later, `rate` for what is. What is left of a row does not sum to one. In eval mode the rate is zero.
/// Taps: "weights" (B x heads x L x L), "mask" (1 x 1 x L x L).
class SoftMaskAttention : public Mixer {
 public:
  explicit SoftMaskAttention(const SoftMaskOptions& options);
  Tensor forward(const Tokens& tokens) override;
  /// @throws Error for a rate that is no share
  void set_rate(double rate);

 private:
  SoftMaskOptions options_;
  Rotary rotary_;
  std::shared_ptr<Linear> qkv_, proj_;
};

/// The rate of each of `steps` training steps: `rate` at first; "linear" falls to zero within `until` steps, "constant"
/// stays until then; zero from there on.
/// @throws Error for another schedule
std::vector<double> soft_mask_rates(double rate, int64_t steps, int64_t until, const std::string& schedule);

}  // namespace tessera

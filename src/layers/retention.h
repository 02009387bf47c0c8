#pragma once
#include "layers/linear.h"
#include "layers/recurrent.h"

namespace tessera {

/// What of token m a query n still sees where each head forgets at its own pace: decay^(n - m), 0 for later tokens.
/// @param decay  heads
/// @return heads x length x length
Tensor causal_decay(const Tensor& decay, int64_t length);

struct RetentionOptions {
  int64_t dim = 512, heads = 8;
  int64_t value_dim = 0;  ///< of all heads; 0: twice dim
  int64_t chunk = 512;    ///< whole sequences are computed in chunks of this length; 0: at once
  double eps = 1e-6;
};

/// Retention (Sun et al., 2023): attention without softmax, in which what lies back n tokens counts decay^n, rotated by
/// its distance. It is one sum in three forms: side by side, in chunks, and as a recurrence; a norm of each head makes
/// their scales alike. PlainRetention is the sum alone.
class RetentionMixer : public RecurrentMixer {
 public:
  explicit RetentionMixer(const RetentionOptions& options);
  /// causal_decay(), each row divided by the root of its sum: heads x length x length.
  Tensor decay_mask(int64_t length) const;

 protected:
  Tensor whole(const Tensor& x) override;
  /// The state: the memory, B x heads x value x key; its scale, B x heads; how many tokens it has seen, B.
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  struct Heads {
    Tensor q, k, v;  // B x heads x L x d
  };
  Heads project(const Tensor& x, const Tensor& at);
  Tensor parallel(const Heads& heads) const;
  Tensor chunked(const Heads& heads) const;
  Tensor scanned(const Heads& heads) const;
  Tensor finish(const Tensor& read, const Tensor& x);
  Tensor decay() const;  // heads

  RetentionOptions options_;
  std::shared_ptr<Linear> q_, k_, v_, gate_, proj_;
};

}  // namespace tessera

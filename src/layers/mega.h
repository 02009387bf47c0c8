#pragma once
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/recurrent.h"
#include "layers/rereading.h"

namespace tessera {

struct EmaOptions {
  int64_t dim = 512, averages = 16;  ///< averages: moving averages of each channel
  bool causal = true;                ///< false: also from the end, with averages of their own
};

/// The damped moving averages of Mega (Ma et al., 2022): h <- q h + p beta x with p = sigmoid(delta) and
/// q = 1 - p sigmoid(alpha), y = SiLU(sum of gamma h / sqrt(averages) + omega x).
class EmaMixer : public RecurrentMixer {
 public:
  explicit EmaMixer(const EmaOptions& options);
  /// Where it is not causal, padding keeps its place: it adds nothing to the averages.
  Tensor forward(const Tokens& tokens) override;
  std::shared_ptr<State> start() const override;
  /// What y is after an impulse, before SiLU and skip: dim (twice where it is not causal) x length.
  Tensor kernel(int64_t length) const;

 protected:
  Tensor whole(const Tensor& x) override;
  /// The state: B x dim x averages.
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  std::vector<Tensor> prepared() const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  friend class MegaMixer;
  /// @param x        what is averaged
  /// @param skipped  what the skip reads
  Tensor averaged(const Tensor& x, const Tensor& skipped);

  EmaOptions options_;
  Tensor delta_, alpha_, beta_, gamma_, omega_;
};

struct MegaOptions {
  int64_t dim = 512, key_dim = 128, value_dim = 1024, averages = 16;
  int64_t chunk = 0;      ///< attention stays within chunks of this length; 0: all tokens
  int64_t length = 1024;  ///< of the longest sequence, or where there are chunks, 0
  bool causal = true;
  bool laplace = false;  ///< an error function in place of the softmax
  double eps = 1e-5;
};

/// Mega (Ma et al., 2022): moving averages make queries and keys, attention with a single head and a learned bias for
/// each distance reads, and two gates let in what it read. The result is what is added to the input: with a residual
/// it is Mega's update x + u (h - x), for a Block the x that its norm made.
/// Taps: "weights" (B x chunks x C x C).
class MegaMixer : public Mixer {
 public:
  explicit MegaMixer(const MegaOptions& options);
  Tensor forward(const Tokens& tokens) override;
  /// By reading the sequence again, where it is causal.
  Tensor step(const Tokens& tokens, State& state) override;
  std::shared_ptr<State> start() const override;

 private:
  Tensor mix(const Tokens& tokens);
  Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& real);

  MegaOptions options_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<EmaMixer> averages_;
  std::shared_ptr<Linear> value_, mixed_, hidden_;
  Tensor gamma_, beta_;  // 2 x key_dim, of queries and keys
  Tensor distance_;      // of each distance, from -(length - 1) to length - 1
};

}  // namespace tessera

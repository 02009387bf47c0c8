#pragma once
#include "layers/activation.h"
#include "layers/causal_convolution.h"
#include "layers/linear.h"
#include "layers/mixer.h"
#include "layers/norm.h"

namespace tessera {

struct Mamba2MixerOptions {
  int64_t dim = 768, heads = 24, head_dim = 64;  ///< the inner width is heads x head_dim
  int64_t state = 128, groups = 1, kernel = 4, chunk = 256;
  bool bias = false, convolution_bias = true;
  double shortest_step = 0, longest_step = 1e30;  ///< the steps dt are clamped to these
  std::string activation = "silu";
  double eps = 1e-5;
  /// As transformers does, padding enters the convolution with the bias of the projection, which the first tokens after
  /// it see; otherwise padding changes nothing.
  bool padding_bias = false;
};

/// The state of Mamba-2, of one size however long the sequence is.
class Mamba2State : public FixedState {
 public:
  std::vector<Tensor*> replaced() override { return {&convolution.inputs, &convolution.real, &state}; }

  ConvolutionState convolution;
  Tensor state;  ///< B x heads x head_dim x state; undefined: no token yet
};

/// Mamba-2 ("Transformers are SSMs", Dao and Gu, 2024): a projection to gate, input, B, C and step; a short
/// convolution; a state space with one decay per head; a gated norm. Tokens whose mask is false change no state.
class Mamba2Mixer : public Mixer {
 public:
  explicit Mamba2Mixer(const Mamba2MixerOptions& options);
  Tensor forward(const Tokens& tokens) override { return mix(tokens, nullptr); }
  Tensor step(const Tokens& tokens, State& state) override { return mix(tokens, &dynamic_cast<Mamba2State&>(state)); }
  std::shared_ptr<State> start() const override { return std::make_shared<Mamba2State>(); }

 private:
  Tensor mix(const Tokens& tokens, Mamba2State* state);
  Tensor scan(const Tensor& convolved, const Tensor& dt, Mamba2State* state);

  Mamba2MixerOptions options_;
  Activation activation_;
  std::shared_ptr<Linear> in_proj_, out_proj_;
  std::shared_ptr<CausalConvolution> convolution_;
  std::shared_ptr<Norm> norm_;
  Tensor dt_bias_, a_log_, d_;  // heads
};

}  // namespace tessera

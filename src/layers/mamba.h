#pragma once
#include "layers/causal_convolution.h"
#include "layers/linear.h"
#include "layers/mixer.h"

namespace tessera {

/// What flows into a selective state space (Gu and Dao, 2023), for each token and channel:
///   h <- exp(dt a) h + dt b x,   y = c h
struct SelectiveInputs {
  Tensor x, dt;  ///< B x L x D; dt of 0: the token changes nothing
  Tensor a;      ///< D x N, negative
  Tensor b, c;   ///< B x L x groups x N; a group serves D / groups consecutive channels
};

struct SelectiveResult {
  Tensor y;      ///< B x L x D
  Tensor state;  ///< B x D x N, after the last token
};

/// All tokens: a kernel goes from one to the next, with a gradient where one is needed. What it cannot read (float64,
/// other devices) goes inside a chunk by a scan of log2(chunk) steps, and between chunks by the state. A chunk of one
/// is the recurrence; the result does not depend on it.
/// @param state  before the first token; undefined: zeros
SelectiveResult selective_scan(const SelectiveInputs& in, const Tensor& state, int64_t chunk = 64);

struct MambaOptions {
  int64_t dim = 768, inner = 0, state = 16, kernel = 4, rank = 0;  ///< inner 0: 2 dim; rank of the step 0: dim / 16
  bool bias = false, convolution_bias = true;
  int64_t chunk = 64;  ///< see selective_scan()
};

class MambaState : public FixedState {
 public:
  std::vector<Tensor*> replaced() override { return {&convolution.inputs, &convolution.real, &state}; }

  ConvolutionState convolution;
  Tensor state;  ///< B x inner x state; undefined: no token yet
};

/// Mamba (Gu and Dao, 2023): a projection to two branches, a short convolution, a state space whose step, input and
/// output depend on the token, and a gate. Tokens whose mask is false change no state.
class MambaMixer : public Mixer {
 public:
  explicit MambaMixer(const MambaOptions& options);
  Tensor forward(const Tokens& tokens) override { return mix(tokens, nullptr); }
  Tensor step(const Tokens& tokens, State& state) override { return mix(tokens, &dynamic_cast<MambaState&>(state)); }
  std::shared_ptr<State> start() const override { return std::make_shared<MambaState>(); }

 private:
  Tensor mix(const Tokens& tokens, MambaState* state);

  MambaOptions options_;
  std::shared_ptr<Linear> in_proj_, x_proj_, dt_proj_, out_proj_;
  std::shared_ptr<CausalConvolution> convolution_;
  Tensor a_log_, d_;  // inner x state, inner
};

}  // namespace tessera

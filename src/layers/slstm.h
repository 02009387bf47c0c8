#pragma once
#include "layers/causal_convolution.h"
#include "layers/headwise.h"
#include "layers/mixer.h"

namespace tessera {

struct SlstmOptions {
  int64_t dim = 768, heads = 4;
  int64_t kernel = 4;  ///< of the short convolution before the input and forget gates
};

/// The scalar memory, its normaliser in a scale of exp(m), and the last output: B x dim each; undefined: no token yet.
class SlstmState : public FixedState {
 public:
  std::vector<Tensor*> replaced() override { return {&convolution.inputs, &convolution.real, &h, &c, &n, &m}; }

  Tensor h, c, n, m;
  ConvolutionState convolution;
};

/// The sLSTM layer of xLSTM (Beck et al., 2024): a scalar memory in every channel, whose gates also read the last
/// output of their head. That is why it can track a state, and why it runs token by token.
class SlstmMixer : public Mixer {
 public:
  explicit SlstmMixer(const SlstmOptions& options);
  Tensor forward(const Tokens& tokens) override;
  Tensor step(const Tokens& tokens, State& state) override;
  std::shared_ptr<State> start() const override { return std::make_shared<SlstmState>(); }

 private:
  void advance(const Tensor& from_input, const Tensor& real, SlstmState& state);

  SlstmOptions options_;
  std::shared_ptr<CausalConvolution> convolution_;
  std::shared_ptr<HeadwiseLinear> input_gate_, forget_gate_, cell_, output_gate_;
  std::shared_ptr<HeadNorm> norm_;
  Tensor recurrent_;  // heads x 4 d x d: of input gate, forget gate, cell and output gate
  Tensor bias_;       // 4 dim
};

}  // namespace tessera

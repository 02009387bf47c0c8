#pragma once
#include "layers/causal_convolution.h"
#include "layers/headwise.h"
#include "layers/linear.h"
#include "layers/mixer.h"

namespace tessera {

/// What flows into the matrix memory of xLSTM (Beck et al., 2024), for each token and head:
///   C <- f C + i k v^T,  n <- f n + i k,  h = C^T q / max(|n q|, 1)
/// with k / sqrt(d) for k, i = exp(input) and f = sigmoid(forget).
struct MlstmInputs {
  Tensor q, k;           ///< B x heads x L x d
  Tensor v;              ///< B x heads x L x e
  Tensor input, forget;  ///< B x heads x L, before exp and sigmoid
};

/// The memory in a scale of exp(m), which keeps it finite.
class MlstmState : public FixedState {
 public:
  std::vector<Tensor*> replaced() override { return {&convolution.inputs, &convolution.real, &c, &n, &m}; }

  Tensor c;                      ///< B x heads x d x e; undefined: no token yet
  Tensor n;                      ///< B x heads x d
  Tensor m;                      ///< B x heads
  ConvolutionState convolution;  ///< of mixers that have one
};

struct MlstmForm {
  int64_t chunk = 256;  ///< tokens that are computed side by side; their number squared is the cost. 0: all
  double eps = 1e-6;    ///< added to the denominator
};

/// The memory's answers to all tokens, B x heads x L x e: side by side inside a chunk, by the recurrence from chunk to
/// chunk; a chunk of one is the recurrence. The result does not depend on the chunk but for rounding.
/// @param real   B x L, false where a token changes nothing; undefined: all are real
/// @param state  continued; null: the memory is empty before and not needed after
Tensor mlstm(const MlstmInputs& in, const Tensor& real, MlstmState* state, const MlstmForm& form = {});

struct MlstmOptions {
  int64_t dim = 768, heads = 4;
  int64_t inner = 0;       ///< 0: 2 dim
  int64_t block = 4;       ///< channels of a block of the query, key and value projections
  int64_t kernel = 4;      ///< of the short convolution
  bool grid = false;       ///< which runs over the tokens' grid instead of along the sequence (Alkin et al., 2024)
  bool reverse = false;    ///< reads the sequence from its end
  bool bias = false;       ///< of the projections
  bool norm_bias = false;  ///< of the norm of each head
  int64_t chunk = 256;     ///< see MlstmForm
};

/// The mLSTM layer of xLSTM's language models and of Vision-LSTM: a projection to two branches; a short convolution
/// before query and key; the memory; a norm of each head; a learned skip of the convolution; a gate; a projection.
class MlstmMixer : public Mixer {
 public:
  explicit MlstmMixer(const MlstmOptions& options);
  Tensor forward(const Tokens& tokens) override;
  Tensor step(const Tokens& tokens, State& state) override;
  std::shared_ptr<State> start() const override;

 private:
  Tensor mix(const Tokens& tokens, MlstmState* state);
  Tensor convolved(const Tokens& tokens, MlstmState* state);

  MlstmOptions options_;
  std::shared_ptr<Linear> up_, gates_, down_;
  std::shared_ptr<CausalConvolution> convolution_;
  std::shared_ptr<Convolution> grid_convolution_;
  std::shared_ptr<HeadwiseLinear> q_, k_, v_;
  std::shared_ptr<HeadNorm> norm_;
  Tensor skip_;  // inner
};

struct XlstmLayerOptions {
  int64_t dim = 4096, heads = 8;
  int64_t key_dim = 0, value_dim = 0;  ///< of all heads; 0: half of dim, dim
  double gate_cap = 15;                ///< bounds the gates: cap tanh(x / cap)
  bool bias = false;
  double eps = 1e-6;
  int64_t chunk = 64;  ///< see MlstmForm
};

/// The mLSTM layer of xLSTM-7B (Beck et al., 2025): one projection each, no convolution, and an output gate.
class XlstmMixer : public Mixer {
 public:
  explicit XlstmMixer(const XlstmLayerOptions& options);
  Tensor forward(const Tokens& tokens) override { return mix(tokens, nullptr); }
  Tensor step(const Tokens& tokens, State& state) override { return mix(tokens, &dynamic_cast<MlstmState&>(state)); }
  std::shared_ptr<State> start() const override { return std::make_shared<MlstmState>(); }

 private:
  Tensor mix(const Tokens& tokens, MlstmState* state);

  XlstmLayerOptions options_;
  std::shared_ptr<Linear> q_, k_, v_, gates_, output_gate_, proj_;
  std::shared_ptr<HeadNorm> norm_;
};

}  // namespace tessera

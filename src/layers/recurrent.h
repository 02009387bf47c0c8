#pragma once
#include "layers/mixer.h"

namespace tessera {

/// The state of a recurrence: tensors whose first axis is the batch; none: no token yet.
class RecurrentState : public FixedState {
 public:
  std::vector<Tensor*> replaced() override;

  std::vector<Tensor> tensors;
};

/// A mixer that the mathematics gives two forms: side by side over whole sequences, for training, and token by token,
/// for streams. Padding is taken out before either, so that it changes nothing wherever it stands.
class RecurrentMixer : public Mixer {
 public:
  Tensor forward(const Tokens& tokens) override;
  Tensor step(const Tokens& tokens, State& state) override;
  std::shared_ptr<State> start() const override { return std::make_shared<RecurrentState>(); }

 protected:
  /// Whole sequences: B x L x D -> B x L x D.
  virtual Tensor whole(const Tensor& x) = 0;
  /// The state before the first token.
  virtual std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const = 0;
  /// What one step after another needs of the parameters, computed once for each call.
  virtual std::vector<Tensor> prepared() const { return {}; }
  /// One token: B x D -> B x D, and the state behind it in place of that before.
  virtual Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) = 0;
  /// whole(), by the recurrence: for lengths that the other form cannot do.
  Tensor one_by_one(const Tensor& x);
};

/// h_t = a_t h_{t-1} + x_t along the second axis, by log2(L) steps side by side; real or complex.
/// @param a       B x L x ..., or 1 x 1 x ... where it does not change
/// @param x       B x L x ...
/// @param before  h before the first, B x ...; undefined: zeros
Tensor linear_scan(const Tensor& a, const Tensor& x, const Tensor& before = {});

/// The causal convolution along the second axis with a kernel that may be as long as the sequence: by Fourier
/// transforms of twice its length, or by a kernel of ours where nothing needs a gradient and the length is moderate.
/// @param x       B x L x C, real
/// @param kernel  C x K, real; what is longer than L does not matter
Tensor long_convolution(const Tensor& x, const Tensor& kernel);

}  // namespace tessera

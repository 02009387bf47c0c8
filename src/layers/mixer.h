#pragma once
#include "core/tokens.h"
#include "layers/module.h"

namespace tessera {

/// What a mixer remembers of a batch of sequences between two calls: a key-value cache, the state of a state space.
/// Each kind is defined beside its mixer.
class State {
 public:
  virtual ~State() = default;
  /// Makes row i remember what row rows[i] does now: the beams of a search, prompts that are continued several times.
  /// @param rows  int64, as many as the batch has from now on
  virtual void select(const Tensor& rows) = 0;
  /// Whether it can forget; a recurrence cannot, as it has mixed the tokens into one another.
  virtual bool can_rewind() const { return false; }
  /// Forgets the last `tokens` tokens of every row: a draft that was refused.
  /// @throws std::logic_error where it cannot
  virtual void rewind(int64_t tokens);

  /// Makes the state of sequences of which something was seen ready for a recorded graph (core/device_graph.h): the
  /// next `tokens` tokens, which come one a call, are read and written where the tensors lie from now on.
  /// @return false where it grows otherwise; nothing has changed then
  virtual bool fix(int64_t tokens);
  /// The tensors that a call replaces by others of the same shape.
  virtual std::vector<Tensor*> replaced() { return {}; }
  /// What a graph cannot do, after each token: the host's own counting.
  virtual void count_token() {}
  /// The end of fix().
  virtual void release() {}
};

/// A state that is what replaced() lists: tensors whose first axis is the batch and whose shapes stay; none, or
/// undefined ones, before the first token.
class FixedState : public State {
 public:
  void select(const Tensor& rows) override;
  bool fix(int64_t tokens) override;
};

/// What exchanges information between tokens: attention, retention, a state space, a convolution.
class Mixer : public Module {
 public:
  /// @return the mixed features, B x L x D; prefix, mask and coordinates of `tokens` are for the mixer to respect
  virtual Tensor forward(const Tokens& tokens) = 0;
  /// The type of features that it reads without converting them.
  virtual torch::ScalarType input_type() const { return torch::kFloat32; }
  /// residual + forward(tokens), or + step(tokens, *state) where a state is given. One that ends in a linear layer adds
  /// in the same pass.
  virtual Tensor onto(const Tensor& residual, const Tokens& tokens, State* state) {
    return residual + (state ? step(tokens, *state) : forward(tokens));
  }

  /// A state that has seen nothing; null for a mixer that cannot go on with a sequence.
  virtual std::shared_ptr<State> start() const { return nullptr; }
  /// forward() for the next tokens of sequences whose earlier tokens `state`, which start() made, has seen. What comes
  /// in pieces of any length, with any padding, is mixed as if it had come at once.
  virtual Tensor step(const Tokens& tokens, State& state);
};

/// What transforms every token by itself.
class FeedForward : public Module {
 public:
  virtual Tensor forward(const Tensor& x) = 0;  // B x L x D -> B x L x D
  /// See Mixer.
  virtual torch::ScalarType input_type() const { return torch::kFloat32; }
  virtual Tensor onto(const Tensor& residual, const Tensor& x) { return residual + forward(x); }
};

}  // namespace tessera

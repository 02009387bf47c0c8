#pragma once
#include "layers/mixer.h"

namespace tessera {

/// The state of a mixer that has no recurrent form: all that it has read.
class History : public State {
 public:
  void select(const Tensor& rows) override;
  bool can_rewind() const override { return true; }
  void rewind(int64_t tokens) override;
  /// Adds the next tokens. @return all tokens so far: x, mask and ids
  Tokens append(const Tokens& next);

 private:
  Tokens seen_;
};

/// A mixer that goes on with a sequence by reading it again from its first token, and whose padding is taken out
/// before, wherever it stands: what derives from it sees whole sequences of real tokens alone.
class RereadingMixer : public Mixer {
 public:
  /// @throws Error for masked tokens where the mixer is not causal: behind the others they would still be seen
  Tensor forward(const Tokens& tokens) final;
  Tensor step(const Tokens& tokens, State& state) final;
  std::shared_ptr<State> start() const final;

 protected:
  /// @param causal  no token sees a later one; otherwise there is no state
  explicit RereadingMixer(bool causal) : causal_(causal) {}
  /// The mixed features of sequences without padding, B x L x D. Where rows are of different length, what stands behind
  /// a shorter one is zero in x and -1 in ids.
  virtual Tensor mix(const Tokens& tokens) = 0;
  bool causal() const { return causal_; }

 private:
  Tensor without_padding(const Tokens& tokens);

  bool causal_;
};

}  // namespace tessera

#pragma once
#include "layers/linear.h"
#include "layers/mixer.h"

namespace tessera {

struct PlainRetentionOptions {
  int64_t dim = 384, heads = 6;
  /// The same mathematics at different cost: "parallel" (quadratic), "chunkwise" (linear), "recurrent" (token by
  /// token). "softmax" is what the released code of ViR trains with: a softmax of the decayed scores over all tokens,
  /// in which later ones have a score of 0, so that it is not causal and has no state.
  std::string form = "chunkwise";
  int64_t chunk = 64;  ///< tokens that "chunkwise" reads at once
};

/// The state of retention, of one size however long the sequence is.
class PlainRetentionState : public FixedState {
 public:
  std::vector<Tensor*> replaced() override { return {&state}; }

  Tensor state;  ///< B x heads x values x keys; undefined: no token yet
};

/// Retention by its sum alone, as pictures have it (ViR; Hatamizadeh et al., 2023): s <- g s + v k^T, o = s q, where
/// head h forgets by g = 1 - 1/32 to 1 - 1/512. Tokens whose mask is false change no state. RetentionMixer has
/// what RetNet adds: rotation, scales, norm and gate.
/// Taps: "weights" (B x heads x L x L, "softmax" alone), "context".
class PlainRetention : public Mixer {
 public:
  explicit PlainRetention(const PlainRetentionOptions& options);
  Tensor forward(const Tokens& tokens) override { return mix(tokens, nullptr); }
  /// @throws Error for the form "softmax"
  Tensor step(const Tokens& tokens, State& state) override {
    return mix(tokens, &dynamic_cast<PlainRetentionState&>(state));
  }
  std::shared_ptr<State> start() const override;

  /// Computes in another form from now on; chunk: 0 leaves it as it is.
  void set_form(const std::string& form, int64_t chunk = 0);
  /// What a head keeps from token to token: heads.
  const Tensor& decay() const { return decay_; }

 private:
  Tensor mix(const Tokens& tokens, PlainRetentionState* state);
  Tensor softmax_form(const Tensor& q, const Tensor& k, const Tensor& v);

  PlainRetentionOptions options_;
  std::shared_ptr<Linear> qkv_, proj_;
  Tensor decay_;  // computed, and so neither parameter nor buffer
};

}  // namespace tessera

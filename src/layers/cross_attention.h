#pragma once
#include "layers/attention.h"

namespace tessera {

struct CrossAttentionOptions {
  int64_t dim = 768, heads = 12;
  int64_t source_dim = 0;  ///< width of what is attended to; 0: dim
  int64_t head_dim = 0;    ///< width of a head; 0: dim / heads
  int64_t kv_heads = 0;    ///< see AttentionOptions
  bool qkv_bias = true, proj_bias = true;
  double scale = 0;  ///< of the scores; 0: 1 / sqrt(head_dim)

  int64_t width() const { return head_dim > 0 ? head_dim : dim / heads; }
  int64_t groups() const { return kv_heads > 0 ? kv_heads : heads; }
};

/// The state of cross-attention: the keys and values of the source, which are made once.
class CrossCache : public FixedState {
 public:
  explicit CrossCache(KeysAndValues source) : source_(std::move(source)) {}
  const KeysAndValues& source() const { return source_; }
  std::vector<Tensor*> replaced() override { return {&source_.keys, &source_.values, &source_.mask}; }
  bool can_rewind() const override { return true; }
  void rewind(int64_t) override {}  // the source stays what it is

 private:
  KeysAndValues source_;
};

/// Attention of a sequence to another one, the source (Vaswani et al., 2017). Key and value are one fused projection.
/// Tokens of the source whose mask is false are not attended to. Taps: "weights" (B x heads x L x S), "context".
class CrossAttention : public Mixer {
 public:
  explicit CrossAttention(const CrossAttentionOptions& options);
  /// The state with which step() attends to these tokens.
  std::shared_ptr<State> remember(const Tokens& source);
  Tensor step(const Tokens& tokens, State& state) override;
  /// @throws std::logic_error: there is nothing to attend to without a state
  Tensor forward(const Tokens& tokens) override;

 private:
  Tensor split(const Tensor& x, int64_t heads) const;

  CrossAttentionOptions options_;
  std::shared_ptr<Linear> q_, kv_, proj_;
};

}  // namespace tessera

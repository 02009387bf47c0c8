#pragma once
#include <optional>

#include "kernels/attention.h"
#include "layers/key_value_cache.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/position_bias.h"
#include "layers/rotary.h"

namespace tessera {

struct AttentionOptions {
  int64_t dim = 768, heads = 12;
  bool qkv_bias = true;
  bool key_bias = true;  ///< false: query and value have a bias, the key has none (Bao et al., 2021)
  bool causal = false;   ///< a token sees itself and the tokens before it
  bool qk_norm = false;  ///< layer norm of every query and key (Dehghani et al., 2023)
  double eps = 1e-6;     ///< of that norm

  int64_t kv_heads = 0;  ///< keys and values that groups of heads share (Ainslie et al., 2023); 0: as many as heads
  int64_t head_dim = 0;  ///< width of a head; 0: dim / heads
  bool proj_bias = true;
  double scale = 0;    ///< of the scores; 0: 1 / sqrt(head_dim)
  int64_t window = 0;  ///< a token sees the last `window` real tokens, itself included (Beltagy et al., 2020); 0: all
  double cap = 0;      ///< bounds the scores: cap tanh(score / cap) (Gemma 2); 0: does not
  std::optional<RotaryOptions> rotary = std::nullopt;

  int64_t width() const { return head_dim > 0 ? head_dim : dim / heads; }
  int64_t groups() const { return kv_heads > 0 ? kv_heads : heads; }
};

/// Multi-head softmax attention (Vaswani et al., 2017): softmax(Q K^T / sqrt(d)) V.
/// Query, key and value are one fused projection, heads + 2 kv heads of width d; the name tables split it for
/// checkpoints that store three. Tokens whose mask is false are not attended to; those of one span that come in one
/// call attend to each other whatever causal and window say. A row may hold several sequences, packed one behind the
/// other: where it is causal and a call without state has two coordinates, the second is the number of a token's
/// sequence, and a token sees only those of its own. Taps: "weights" (B x heads x L x S), "context" (before the
/// projection). Its state is a KeyValueCache.
class Attention : public Mixer {
 public:
  /// @param bias  added to the scores by the distance of query and key (their coordinates, and with a state the count
  /// of
  ///              real tokens); null: none. It is not a child: the owner of a table that layers share registers it.
  explicit Attention(const AttentionOptions& options, std::shared_ptr<PositionBias> bias = nullptr);
  Tensor forward(const Tokens& tokens) override { return Attention::onto({}, tokens, nullptr); }
  Tensor step(const Tokens& tokens, State& state) override { return Attention::onto({}, tokens, &state); }
  Tensor onto(const Tensor& residual, const Tokens& tokens, State* state) override;
  std::shared_ptr<State> start() const override { return std::make_shared<ContiguousCache>(); }
  torch::ScalarType input_type() const override { return qkv_->narrow_type(); }

 private:
  Tensor context(const Tokens& tokens, KeyValueCache* cache);
  Tensor project(const Tensor& x);

  AttentionOptions options_;
  std::shared_ptr<Linear> qkv_, proj_;
  Tensor query_bias_, value_bias_;  // where the key has none
  std::shared_ptr<Norm> q_norm_, k_norm_;
  std::optional<Rotary> rotary_;
  std::shared_ptr<PositionBias> bias_;
};

/// softmax(capped(scale q k^T) + bias) v for q: B x heads x L x d and k, v: B x kv heads x S x d, each of which serves
/// heads / kv heads consecutive heads, by the fused kernel where nothing asks for what it does not make. `module`
/// reports the weights, B x heads x L x S, to the taps.
/// @param pattern  its scale 0: 1 / sqrt(d)
/// @param weights  by which name: of one module that attends more than once
Tensor attend(const torch::nn::Module& module, const Tensor& q, const Tensor& k, const Tensor& v,
              AttentionPattern pattern, const char* weights = "weights");

/// The bias of the last `queries` of `keys` tokens that hides padded keys (mask: B x S, true where real; may be
/// undefined), where `causal` later ones, and those that lie beyond a window of real tokens (0: none); undefined when
/// nothing is hidden. The hidden scores get the lowest finite value, so that a row without any key is uniform instead
/// of NaN.
/// @param span   see Tokens, B x queries; may be undefined
/// @param place  see KeysAndValues
Tensor attention_bias(const Tensor& mask, bool causal, int64_t window, int64_t queries, int64_t keys,
                      const torch::TensorOptions& like, const Tensor& span = {}, const Tensor& place = {});

/// Where each of the keys stands among the real ones, counted from 0: B x S with a mask, else 1 x S. Padding counts on
/// from the real token before it, as the references do.
Tensor key_positions(const Tensor& mask, int64_t keys, const torch::TensorOptions& like);

/// The parts of a fused query-key-value tensor for a name table: "[{0:4|1:1|2:1}]" for 4 heads and 1 kv head.
std::string qkv_parts(int64_t heads, int64_t kv_heads);

}  // namespace tessera

#include "layers/mixers.h"

#include "layers/attention.h"
#include "layers/feed_forward.h"
#include "layers/mamba2.h"

namespace tessera {

TESSERA_OPTIONS(AttentionOptions, dim, heads, qkv_bias, key_bias, causal, qk_norm, eps, kv_heads, head_dim, proj_bias,
                scale, window, cap, rotary)
TESSERA_OPTIONS(Mamba2MixerOptions, dim, heads, head_dim, state, groups, kernel, chunk, bias, convolution_bias,
                shortest_step, longest_step, activation, eps, padding_bias)

namespace {

struct MlpOptions {
  int64_t dim = 768, hidden = 3072;
  std::string activation = "gelu";
  bool bias = true;
};
TESSERA_OPTIONS(MlpOptions, dim, hidden, activation, bias)

struct GatedMlpOptions {
  int64_t dim = 768, hidden = 2048;
  std::string activation = "silu";
  bool bias = false;
};
TESSERA_OPTIONS(GatedMlpOptions, dim, hidden, activation, bias)

struct OptionsMlp : Mlp {
  explicit OptionsMlp(const MlpOptions& o) : Mlp(o.dim, o.hidden, o.activation, 0, o.bias) {}
};
struct OptionsGatedMlp : GatedMlp {
  explicit OptionsGatedMlp(const GatedMlpOptions& o) : GatedMlp(o.dim, o.hidden, o.activation, o.bias) {}
};

const MixerRegistration<Attention, AttentionOptions> attention("attention");
const MixerRegistration<Mamba2Mixer, Mamba2MixerOptions> mamba2("mamba2");
const FeedForwardRegistration<OptionsMlp, MlpOptions> mlp("mlp");
const FeedForwardRegistration<OptionsGatedMlp, GatedMlpOptions> gated_mlp("gated-mlp");

}  // namespace

PartRegistry<Mixer>& mixers() {
  static PartRegistry<Mixer> registry("mixer");
  return registry;
}

PartRegistry<FeedForward>& feed_forwards() {
  static PartRegistry<FeedForward> registry = [] {
    PartRegistry<FeedForward> parts("feed-forward");
    parts.add("none", [](const Json& json, const std::string& where) -> std::shared_ptr<FeedForward> {
      read_options<NoOptions>(json, where);
      return nullptr;
    });
    return parts;
  }();
  return registry;
}

}  // namespace tessera

#include "language/decoder.h"

#include <cmath>

#include "layers/attention.h"
#include "layers/feed_forward.h"
#include "layers/mixers.h"

namespace tessera {
namespace {

const Registration<LanguageModel, Decoder, DecoderOptions> registration(language_models(), "decoder");

CausalStackOptions stack_of(const DecoderOptions& o) {
  check_choice(o.positions, {"learned", "sinusoidal", "rotary", "alibi", "none"}, "positions");
  return {.vocabulary = o.vocabulary,
          .dim = o.dim,
          .embedding_dim = o.embedding_dim,
          .positions = o.positions == "learned" ? o.context : 0,
          .position_offset = o.position_offset,
          .context = o.context,
          .norm = o.norm,
          .eps = o.eps,
          .final_norm = o.final_norm && !o.post_norm,
          .tied = o.tied,
          .embedding_scale = o.embedding_scale,
          .logit_cap = o.logit_cap,
          .padding_id = o.padding_id,
          .dropout = o.dropout,
          .sinusoidal = o.positions == "sinusoidal",
          .embedding_norm = o.embedding_norm,
          .head_bias = o.head_bias};
}

AttentionOptions attention_of(const DecoderOptions& o, int64_t layer) {
  AttentionOptions attention{.dim = o.dim, .heads = o.heads, .qkv_bias = o.qkv_bias, .causal = true};
  attention.kv_heads = o.kv_heads, attention.head_dim = o.head_dim, attention.proj_bias = o.proj_bias;
  attention.scale = o.scale > 0 ? o.scale : 1 / std::sqrt(static_cast<double>(attention.width()));
  if (o.scale_by_layer) attention.scale /= static_cast<double>(layer + 1);
  if (!o.windows.empty()) attention.window = o.windows[static_cast<size_t>(layer)];
  attention.cap = o.attention_cap;
  if (o.positions == "rotary") attention.rotary = o.rotary;
  return attention;
}

std::shared_ptr<Mixer> mixer_of(const DecoderOptions& o, int64_t layer, std::shared_ptr<PositionBias> bias) {
  const AttentionOptions attention = attention_of(o, layer);
  if (o.mixer.is_null()) return std::make_shared<Attention>(attention, std::move(bias));
  Json backbone = {{"dim", o.dim},           {"heads", o.heads}, {"causal", true},
                   {"qkv_bias", o.qkv_bias}, {"eps", o.eps},     {"proj_bias", o.proj_bias}};
  if (o.head_dim > 0) backbone["head_dim"] = o.head_dim;
  if (o.kv_heads > 0) backbone["kv_heads"] = o.kv_heads;
  if (attention.rotary) backbone["rotary"] = write_options(*attention.rotary);
  auto mixer = mixers().make_part(o.mixer, backbone, layer, "decoder: mixer");
  if (!mixer->start())
    throw Error("cannot go on with a sequence", "decoder: mixer", "a language model needs a mixer with a state");
  return mixer;
}

std::shared_ptr<FeedForward> ffn_of(const DecoderOptions& o, int64_t layer) {
  if (!o.feed_forward.is_null())
    return feed_forwards().make_part(o.feed_forward, {{"dim", o.dim}, {"hidden", o.ffn}, {"eps", o.eps}}, layer,
                                     "decoder: feed_forward");
  if (o.gated) return std::make_shared<GatedMlp>(o.dim, o.ffn, o.activation, o.ffn_bias);
  return std::make_shared<Mlp>(o.dim, o.ffn, o.activation, o.dim, o.ffn_bias);
}

}  // namespace

Decoder::Decoder(const DecoderOptions& o) : CausalStack(stack_of(o)) {
  if (o.heads < 1 || (!o.windows.empty() && static_cast<int64_t>(o.windows.size()) != o.depth))
    throw Error(o.heads < 1
                    ? "there are no heads"
                    : std::to_string(o.windows.size()) + " windows do not fit " + std::to_string(o.depth) + " layers",
                "decoder");
  const auto bias = o.positions == "alibi" ? std::make_shared<LinearBias>(o.heads) : nullptr;
  const BlockOptions block{.dim = o.dim,
                           .eps = o.eps,
                           .norm = o.norm,
                           .post_norm = o.post_norm,
                           .sandwich_norm = o.sandwich_norm,
                           .dropout = o.dropout};
  for (int64_t i = 0; i < o.depth; ++i) blocks().append(block, mixer_of(o, i, bias), ffn_of(o, i));
  if (o.positions == "rotary" && o.rotary.scaling == "longrope") original_length_ = o.rotary.original_length;
}

bool Decoder::outgrown(int64_t seen, int64_t length) const {
  return original_length_ > 0 && seen > 0 && seen <= original_length_ && length > original_length_;
}

}  // namespace tessera

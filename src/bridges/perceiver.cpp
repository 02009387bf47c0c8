#include "bridges/perceiver.h"

namespace tessera {
namespace {

const Registration<Bridge, PerceiverBridge, PerceiverBridgeOptions> registration(bridges(), "perceiver");

}  // namespace

PerceiverLayer::PerceiverLayer(const PerceiverBridgeOptions& o) {
  latents_norm_ = add<Norm>("latents_norm", o.width, o.eps, "rms");
  context_norm_ = add<Norm>("context_norm", o.width, o.eps, "rms");
  attention_ = add<CrossAttention>("attention", CrossAttentionOptions{.dim = o.width,
                                                                      .heads = o.heads,
                                                                      .head_dim = o.head_dim,
                                                                      .kv_heads = o.kv_heads,
                                                                      .qkv_bias = false,
                                                                      .proj_bias = false});
  norm_ = add<Norm>("norm", o.width, o.eps, "rms");
  ffn_ = add<GatedMlp>("ffn", o.width, 4 * o.width, o.activation);
}

Tensor PerceiverLayer::forward(const Tensor& latents, const Tokens& context) {
  Tokens queries, source;
  queries.x = latents_norm_->forward(latents);
  source.x = torch::cat({context_norm_->forward(context.x), queries.x}, 1);
  if (context.mask.defined()) source.mask = torch::constant_pad_nd(context.mask, {0, latents.size(1)}, true);
  const Tensor read = latents + attention_->step(queries, *attention_->remember(source));
  return tap(*this, read + ffn_->forward(norm_->forward(read)));
}

PerceiverBridge::PerceiverBridge(const PerceiverBridgeOptions& o) : dim_(o.dim) {
  if (o.depth < 0 || o.latents < 1) throw Error("there is no latent, or a negative number of layers", "perceiver");
  projection_ = add<GatedMlp>("projection", o.dim, o.projection > 0 ? o.projection : 4 * o.width,
                              o.projection_activation, false, o.width);
  latents_ = weight("latents", {o.latents, o.width});
  layers_ = add<ModuleList<PerceiverLayer>>("layers");
  for (int64_t i = 0; i < o.depth; ++i) layers_->append(o);
  norm_ = add<Norm>("norm", o.width, o.eps, "rms");
}

Tokens PerceiverBridge::forward(const Tokens& visual, const TextBatch* text) {
  refuse_text(text);
  const Tokens context = visual.with(projection_->forward(visual.x));
  Tensor latents = latents_.unsqueeze(0).expand({visual.x.size(0), -1, -1});
  for (const auto& layer : *layers_) latents = layer->forward(latents, context);
  Tokens result;
  result.x = tap(*this, norm_->forward(latents));
  return result;
}

}  // namespace tessera

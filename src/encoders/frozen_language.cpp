#include "encoders/frozen_language.h"

#include "encoders/classifier.h"
#include "encoders/vit.h"
#include "encoders/vit_published.h"
#include "io/published_config.h"
#include "layers/attention.h"
#include "layers/family.h"

namespace tessera {
namespace {

const Registration<Encoder, FrozenLanguage, FrozenLanguageOptions> registration(encoders(), "frozen-language");

std::shared_ptr<FeedForward> feed_forward(const FrozenLanguageOptions& o) {
  if (o.gated) return std::make_shared<GatedMlp>(o.dim, o.ffn, o.activation, o.bias);
  return std::make_shared<Mlp>(o.dim, o.ffn, o.activation, 0, o.bias);
}

}  // namespace

FrozenLanguage::FrozenLanguage(const FrozenLanguageOptions& o) {
  encoder_ = register_module("encoder", encoders().make(o.encoder, "frozen-language: encoder"));
  in_ = add<Linear>("in", encoder_->width(), o.dim, false);
  blocks_ = add<ModuleList<Block>>("blocks");
  const AttentionOptions attention{.dim = o.dim, .heads = o.heads, .qkv_bias = o.bias, .proj_bias = o.bias};
  for (int64_t i = 0; i < o.depth; ++i)
    blocks_->append(BlockOptions{.dim = o.dim, .eps = o.eps, .norm = o.norm}, std::make_shared<Attention>(attention),
                    feed_forward(o));
  if (o.stack_norm) stack_norm_ = add<Norm>("stack_norm", o.dim, o.eps, o.norm);
  out_ = add<Linear>("out", o.dim, encoder_->width(), false);
  if (o.final_norm) norm_ = add<Norm>("norm", encoder_->width(), o.final_eps);
  for (Tensor& parameter : blocks_->parameters()) parameter.requires_grad_(false);
  if (stack_norm_) stack_norm_->weight.requires_grad_(false);
  if (stack_norm_ && stack_norm_->bias.defined()) stack_norm_->bias.requires_grad_(false);
}

Tokens FrozenLanguage::continued(Tokens tokens) {
  tap(*this, tokens.x, "seen");
  tokens.x = in_->forward(tokens.x);  // B x L x the language model's width
  for (const auto& block : *blocks_) tokens = block->forward(tokens);
  if (stack_norm_) tokens.x = stack_norm_->forward(tokens.x);
  tokens.x = out_->forward(tap(*this, tokens.x, "read"));
  return norm_ ? tokens.with(norm_->forward(tokens.x)) : tokens;
}

TokenActivation token_activation(const Tensor& x) {
  return {x.norm(2, -1), torch::angle(torch::fft_fft(x)).abs().mean(-1)};
}

namespace {

NameTable vit_names(const std::string& prefix) {
  const NameTable vit = {{
                             {"cls_token", "encoder.encoder.class_token"},
                             {"pos_embed", "encoder.encoder.positions"},
                             {"patch_embed.proj.*", "encoder.encoder.patch.*"},
                             {"blocks.{n}.norm{m}.*", "encoder.encoder.blocks.{n}.norm{m}.*"},
                             {"blocks.{n}.attn.{qkv|proj}.*", "encoder.encoder.blocks.{n}.attention.{qkv|proj}.*"},
                             {"blocks.{n}.ls{m}.gamma", "encoder.encoder.blocks.{n}.scale{m}"},
                             {"blocks.{n}.mlp.{fc1|fc2}.*", "encoder.encoder.blocks.{n}.ffn.{up|down}.*"},
                             {"norm.*", "encoder.norm.*"},
                             {"fc_norm.*", "pool.norm.*"},
                             {"head.*", "head.*"},
                         },
                         {{"patch_embed", "encoder.encoder.patches"}, {"blocks", "encoder.seen"}}};
  return vit.within(prefix, "");
}

NameTable llama_names() {
  const NameTable names = {{{"llama_dim_mapper1.weight", "encoder.in.weight"},
                            {"llama_dim_mapper2.weight", "encoder.out.weight"},
                            {"llama.norm.weight", "encoder.stack_norm.weight"}},
                           {{"llama_dim_mapper1", "encoder.in"},
                            {"llama_dim_mapper2", "encoder.out"},
                            {"llama", "encoder.read"},
                            {"llama.layers.{n}", "encoder.blocks.{n}"}}};
  // The kept layers are counted from 0.
  return names + NameTable{{"attention.{wq|wk|wv}.weight", "attention.qkv.weight[{0|1|2}]"},
                           {"attention.wo.weight", "attention.proj.weight"},
                           {"feed_forward.{w1|w3}.weight", "ffn.gate_up.weight[{0|1}]"},
                           {"feed_forward.w2.weight", "ffn.down.weight"},
                           {"attention_norm.weight", "norm1.weight"},
                           {"ffn_norm.weight", "norm2.weight"}}
                     .within("llama.layers.{n}.", "encoder.blocks.{n}.");
}

const NameTable kOpt = {{{"dim_mapper1.weight", "encoder.in.weight"},
                         {"dim_mapper2.weight", "encoder.out.weight"},
                         {"opt.self_attn.{q_proj|k_proj|v_proj}.*", "encoder.blocks.0.attention.qkv.*[{0|1|2}]"},
                         {"opt.self_attn.out_proj.*", "encoder.blocks.0.attention.proj.*"},
                         {"opt.{fc1|fc2}.*", "encoder.blocks.0.ffn.{up|down}.*"},
                         {"opt.self_attn_layer_norm.*", "encoder.blocks.0.norm1.*"},
                         {"opt.final_layer_norm.*", "encoder.blocks.0.norm2.*"}},
                        {{"dim_mapper1", "encoder.in"}, {"opt", "encoder.blocks.0"}, {"dim_mapper2", "encoder.out"}}};

void read_llama_layers(PublishedConfig config, FrozenLanguageOptions& o) {
  o.dim = config.get<int64_t>("dim", 4096);
  o.heads = config.get<int64_t>("n_heads", 32);
  o.eps = config.get<double>("norm_eps", 1e-6);
  o.depth = config.get<int64_t>("n_layers", 32) - config.get<int64_t>("first_layer", 31);
  const int64_t multiple = config.get<int64_t>("multiple_of", 256);
  o.ffn = (2 * 4 * o.dim / 3 + multiple - 1) / multiple * multiple;
  config.ignore({"vocab_size"});
  config.done();
}

void read_opt_layer(PublishedConfig config, FrozenLanguageOptions& o) {
  o.dim = config.get<int64_t>("hidden_size", 768);
  o.heads = config.get<int64_t>("num_attention_heads", 12);
  o.ffn = config.get<int64_t>("ffn_dim", 3072);
  o.depth = config.get<int64_t>("num_hidden_layers", 1);
  o.activation = config.get<std::string>("activation_function", "relu");
  o.bias = config.get<bool>("enable_bias", true);
  o.norm = "layer", o.eps = 1e-5, o.gated = o.stack_norm = false;
  config.expect("do_layer_norm_before", true);
  config.expect("layer_norm_elementwise_affine", true);
  config.ignore({"vocab_size", "max_position_embeddings", "dropout", "word_embed_proj_dim"});
  config.done();
}

Assembly assemble_frozen(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  VitOptions vit = read_timm_vit(config);
  vit.antialias_positions = false;
  vit.final_norm = false;
  FrozenLanguageOptions o;
  o.encoder = write_options(vit);
  o.encoder["kind"] = "vit";
  const bool opt = json.contains("opt");
  opt ? read_opt_layer(config.nested("opt"), o) : read_llama_layers(config.nested("llama_configs"), o);
  const auto pool = config.get<std::string>("global_pool", "token");
  check_choice(pool, {"token", "avg"}, where + ": global_pool");
  o.final_norm = pool == "token";
  ImageClassifierOptions options{.encoder = write_options(o), .pool = {{"kind", "first"}}};
  if (pool == "avg") options.pool = {{"kind", "mean"}, {"dim", vit.dim}, {"eps", 1e-6}};
  options.encoder["kind"] = "frozen-language";
  options.classes = config.get<int64_t>("num_classes", 1000);
  config.done();
  return {std::make_shared<ImageClassifier>(options), opt ? kOpt + vit_names("vit.") : llama_names() + vit_names("")};
}

const FamilyRegistration family({"frozen-language", "ViT with frozen layers of LLaMA or OPT (LM4VisualEncoding)",
                                 [](const Json& config) {
                                   return config.contains("embed_dim") &&
                                          (config.contains("llama_configs") || config.contains("opt"));
                                 },
                                 assemble_frozen});

}  // namespace
}  // namespace tessera

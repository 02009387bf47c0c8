#include "encoders/vir.h"

#include "core/error.h"
#include "encoders/published.h"
#include "layers/plain_retention.h"

namespace tessera {
namespace {

const Registration<Encoder, Vir, VirOptions> registration(encoders(), "vir");

VitOptions backbone(const VirOptions& o) {
  if (o.mirrored && o.class_token)
    throw Error("a mirrored sequence has no last place for a class token", "vir", "take the mean of the tokens");
  return {.image = o.image,
          .patch = {o.patch, o.patch},
          .channels = o.channels,
          .dim = o.dim,
          .depth = o.depth,
          .heads = o.heads,
          .ffn = o.ffn,
          .class_token = o.class_token,
          .prefix_positions = false,
          .final_norm = o.final_norm,
          .layer_scale = o.layer_scale,
          .drop_path = o.drop_path,
          .class_token_last = true};
}

}  // namespace

Vir::Vir(const VirOptions& o)
    : Vit(backbone(o), {.mixer =
                            [&o] {
                              return std::make_shared<PlainRetention>(PlainRetentionOptions{
                                  .dim = o.dim, .heads = o.heads, .form = o.form, .chunk = o.chunk});
                            }}),
      mirrored_(o.mirrored) {}

Encoder::Layout Vir::layout(int64_t height, int64_t width) const {
  Layout layout = Vit::layout(height, width);
  if (mirrored_) layout.grid[0] *= 2;
  return layout;
}

Tokens Vir::prepend_prefix(const Tokens& patches) {
  if (!mirrored_) return patches;
  Tokens tokens = patches.with(torch::cat({patches.x, patches.x.flip(1)}, 1));
  if (patches.mask.defined()) tokens.mask = torch::cat({patches.mask, patches.mask.flip(1)}, 1);
  tokens.grid[0] *= 2;
  return tokens;
}

void Vir::set_form(const std::string& form, int64_t chunk) {
  for (const auto& module : modules(/*include_self=*/false))
    if (auto* retention = module->as<PlainRetention>()) retention->set_form(form, chunk);
}

namespace {

NameTable names() {
  const NameTable tower = {{
                               {"cls_token", "class_token"},
                               {"pos_embed", "positions"},
                               {"patch_embed.proj.*", "patch.*"},
                               {"norm.*", "norm.*"},
                           },
                           {
                               {"patch_embed", "patches"},
                               {"blocks.{n}#0", "blocks.{n}"},
                               {"norm", "norm"},
                           }};
  const NameTable block = {
      {"norm{m}.*", "norm{m}.*"},
      {"retention.qkv.*", "attention.qkv.*"},
      {"retention.out_proj.*", "attention.proj.*"},
      {"ls{m}.gamma", "scale{m}"},
      {"mlp.fc1.*", "ffn.up.*"},
      {"mlp.fc2.*", "ffn.down.*"},
  };
  return tower + block.within("blocks.{n}.", "blocks.{n}.");
}

Assembly assemble_vir(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  VirOptions vir;
  vir.image = config.pair("img_size", 224);
  vir.patch = square_side(config, "patch_size", 16);
  vir.channels = config.get<int64_t>("in_chans", 3);
  vir.dim = config.get<int64_t>("embed_dim", 768);
  vir.depth = config.get<int64_t>("depth", 12);
  vir.heads = config.get<int64_t>("num_heads", 12);
  vir.ffn = static_cast<int64_t>(static_cast<double>(vir.dim) * config.get<double>("mlp_ratio", 4));
  vir.form = "softmax";  // what the released models were trained in
  vir.layer_scale =
      config.has("init_values") || !json.contains("init_values") ? config.get<double>("init_values", 1e-5) : 0;
  vir.class_token = config.get<bool>("class_token", true);
  vir.drop_path = config.get<double>("drop_path_rate", 0);
  const std::string mode = config.get<std::string>("encode_mode", "autoregressive");
  const std::string pool = config.get<std::string>("global_pool", "token_last");
  check_choice(mode, {"autoregressive", "bidirectional"}, where + ": encode_mode");
  check_choice(pool, {"token_last", "avg"}, where + ": global_pool");
  vir.mirrored = mode == "bidirectional";
  vir.final_norm = !config.get<bool>("fc_norm", pool == "avg");
  config.expect("no_embed_class", true);
  const int64_t classes = config.get<int64_t>("num_classes", 1000);
  config.ignore({"qkv_bias", "drop_rate", "attn_drop_rate", "pos_drop_rate", "weight_init", "init_values"});
  config.done();
  ImageClassifierOptions options{.encoder = of_kind("vir", vir), .pool = {{"kind", "last"}}, .classes = classes};
  if (pool == "avg") options.pool = {{"kind", "mean"}, {"dim", vir.final_norm ? 0 : vir.dim}, {"eps", 1e-6}};
  return {std::make_shared<ImageClassifier>(options),
          NameTable({{"fc_norm.*", "pool.norm.*"}, {"head.*", "head.*"}}, {{"fc_norm", "pool"}}) +
              names().within("", "encoder.")};
}

const FamilyRegistration vir({"vir", "ViR (the authors' code)",
                              [](const Json& config) { return config.contains("encode_mode"); }, assemble_vir});

}  // namespace
}  // namespace tessera

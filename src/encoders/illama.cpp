// iLLaMA (Wang et al., 2024): LLaMA's blocks as an image classifier, causal attention included, with the class token
// behind the patches; under the names of the authors' code.
#include "encoders/classifier.h"
#include "encoders/vit.h"
#include "io/published_config.h"
#include "layers/family.h"

namespace tessera {
namespace {

const NameTable kNames = {{
                              {"cls_token", "encoder.class_token"},
                              {"pos_embed", "encoder.positions"},
                              {"patch_embed.proj.*", "encoder.patch.*"},
                              {"blocks.{n}.norm{m}.weight", "encoder.blocks.{n}.norm{m}.weight"},
                              {"blocks.{n}.attn.{qkv|proj}.*", "encoder.blocks.{n}.attention.{qkv|proj}.*"},
                              {"blocks.{n}.mlp.{fc1|fc3}.weight", "encoder.blocks.{n}.ffn.gate_up.weight[{0|1}]"},
                              {"blocks.{n}.mlp.fc2.weight", "encoder.blocks.{n}.ffn.down.weight"},
                              {"norm.weight", "encoder.norm.weight"},
                              {"head.*", "head.*"},
                          },
                          {{"patch_embed", "encoder.patches"},
                           {"blocks.{n}.attn", "encoder.blocks.{n}.attention"},
                           {"blocks.{n}.mlp", "encoder.blocks.{n}.ffn"},
                           {"blocks.{n}", "encoder.blocks.{n}"},
                           {"norm", "encoder.norm"}}};

Assembly assemble_illama(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  VitOptions o;
  o.image = config.pair("img_size", 224);
  o.patch = config.pair("patch_size", 16);
  o.channels = config.get<int64_t>("in_chans", 3);
  o.dim = config.get<int64_t>("embed_dim", 768);
  o.depth = config.get<int64_t>("depth", 12);
  o.heads = config.get<int64_t>("num_heads", 12);
  o.qkv_bias = config.get<bool>("qkv_bias", true);
  o.eps = config.get<double>("norm_eps", 1e-6);
  // Two thirds of the usual width, rounded up to a multiple of 256 as in LLaMA.
  const auto mlp = static_cast<int64_t>(config.get<double>("mlp_ratio", 4) * static_cast<double>(o.dim));
  o.ffn = (2 * mlp / 3 + 255) / 256 * 256;
  o.class_token_last = true, o.norm = "rms";
  o.mixer = {{"kind", "soft-mask-attention"}};
  o.feed_forward = {{"kind", "gated-mlp"}};
  ImageClassifierOptions options{.encoder = write_options(o), .pool = {{"kind", "last"}}};
  options.encoder["kind"] = "vit";
  options.classes = config.get<int64_t>("num_classes", 1000);
  config.done();
  return {std::make_shared<ImageClassifier>(options), kNames};
}

// timm's ViT has the other keys, but not this one.
const FamilyRegistration family(
    {"illama", "iLLaMA, image classifier of LLaMA's blocks (the authors' code)",
     [](const Json& config) { return config.contains("norm_eps") && config.contains("embed_dim"); }, assemble_illama});

}  // namespace
}  // namespace tessera

// Activator (Abdullah, 2024): a ViT without attention and positions, whose blocks have gated units in their place,
// under the names of the author's code. Nothing mixes patches before the mean over them.
#include "encoders/classifier.h"
#include "encoders/vit.h"
#include "io/published_config.h"
#include "layers/family.h"

namespace tessera {
namespace {

NameTable names(int64_t depth) {
  const std::string last = "encoder.blocks." + std::to_string(depth - 1);
  return {{
              {"patcher.*", "encoder.patch.*"},
              {"model.{n}.norm.*", "encoder.blocks.{n}.norm1.*"},
              {"model.{n}.actgu.{proj_1|proj_2}.*", "encoder.blocks.{n}.attention.feed_forward.gate_up.*[{0|1}]"},
              {"model.{n}.actgu.proj_3.*", "encoder.blocks.{n}.attention.feed_forward.down.*"},
              {"model.{n}.actgu.norm.*", "encoder.blocks.{n}.attention.feed_forward.norm.*"},
              {"model.{n}.ffn.net.0.*", "encoder.blocks.{n}.ffn.up.*"},
              {"model.{n}.ffn.net.3.*", "encoder.blocks.{n}.ffn.down.*"},
              {"classifier.*", "head.*"},
          },
          {{"patcher", "encoder.patch"},
           {"model.{n}", "encoder.blocks.{n}"},
           {"model.{n}.actgu", "encoder.blocks.{n}.attention"},
           {"model", last.c_str()}}};
}

Assembly assemble_activator(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  VitOptions o;
  o.image = config.pair("image_size", 32);
  o.patch = config.pair("patch_size", 4);
  o.channels = config.get<int64_t>("in_channels", 3);
  o.dim = config.get<int64_t>("d_model", 256);
  o.ffn = config.get<int64_t>("d_ffn", 512);
  o.depth = config.get<int64_t>("num_layers", 4);
  o.eps = 1e-5;
  o.class_token = o.positions = o.final_norm = false, o.one_norm = true;
  o.mixer = {{"kind", "token-wise"}, {"feed_forward", {{"kind", "normalised-glu"}, {"hidden", o.ffn}}}};
  // The author's two files differ in nothing that their configs would say: the blocks of one have no feed-forward.
  if (!config.get<bool>("feed_forward", true)) o.feed_forward = {{"kind", "none"}};
  ImageClassifierOptions options{.encoder = write_options(o), .pool = {{"kind", "mean"}}};
  options.encoder["kind"] = "vit";
  options.classes = config.get<int64_t>("num_classes", 10);
  config.ignore({"dropout"});  // within the feed-forward, while training
  config.done();
  return {std::make_shared<ImageClassifier>(options), names(o.depth)};
}

const FamilyRegistration family({"activator", "Activator, image classifier of gated units (the author's code)",
                                 [](const Json& config) {
                                   return config.contains("d_ffn") && config.contains("d_model") &&
                                          config.contains("patch_size");
                                 },
                                 assemble_activator});

}  // namespace
}  // namespace tessera

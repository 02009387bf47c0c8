#include "encoders/patch_labels.h"
#include "encoders/published.h"
#include "encoders/resnas_supernet.h"

namespace tessera {
namespace {

/// The names in the encoder, without prefix.
NameTable names() {
  const NameTable tower = {{
                               {"tokens", "tokens"},
                               {"pos_embed", "positions"},
                               {"patch_embed.proj.*", "patch.*"},
                               {"patch_embed.conv_proj.*", "patches.proj.*"},
                               {"patch_embed.conv{n}.bn.num_batches_tracked", ""},
                               {"norm.*", "norm.*"},
                           },
                           {
                               {"patch_embed", "patches"},
                               {"blocks.{n}#0", "blocks.{n}"},
                           }};
  NameTable convolutions;
  const char* const places[] = {"first.", "second.", "third."};
  for (int i = 0; i < 3; ++i)
    convolutions =
        convolutions + NameTable{{"conv.*", "convolution.*"}, {"bn.*", "norm.*"}}.within(
                           "patch_embed.conv" + std::to_string(i + 1) + ".", std::string("patches.") + places[i]);
  const NameTable reduction = {
      {"norm.*", "norm.*"},
      {"patch_reduce.*", "convolution.*"},
      {"token_transform.*", "token.*"},
      {"pos_embed", "positions"},
  };
  return tower + convolutions + (reduction + timm_block_names()).within("blocks.{n}.", "blocks.{n}.");
}

ResnasSupernetOptions read_resnas(PublishedConfig& config) {
  ResnasSupernetOptions resnas;
  resnas.image = config.pair("img_size", 224);
  config.expect<int64_t>("patch_size", kResnasPatch);
  resnas.channels = config.get<int64_t>("in_chans", 3);
  resnas.network_def = config.require<Json>("network_def");
  resnas.distillation = config.get<bool>("distill_token", true);
  resnas.residual_reduction = config.get<bool>("residual_reduction", true);  // not published: for comparisons
  resnas.drop_path = config.get<double>("drop_path_rate", 0);
  resnas.num_channels_to_keep = config.get<Json>("num_channels_to_keep", {});
  resnas.example_per_arch = config.get<int64_t>("example_per_arch", resnas.example_per_arch);
  resnas.num_warmup_epochs = config.get<int64_t>("num_warmup_epochs", resnas.num_warmup_epochs);
  resnas.single_arch = config.get<bool>("single_arch", false);
  return resnas;
}

Assembly assemble_resnas(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const ResnasSupernetOptions resnas = read_resnas(config);
  const bool supernet = config.get<bool>("supernet", false), patches = config.get<bool>("patch_output", false);
  const int64_t classes = read_definition(resnas.network_def, where + ": network_def").classes;
  config.expect<int64_t>("num_classes", classes);
  config.ignore({"drop_rate", "attn_drop_rate"});
  config.done();
  if (classes < 1) throw Error("ends with no head", where + ": network_def", "add [2, C, classes]");
  if (patches && resnas.distillation)
    throw Error("a classifier of patches beside a distillation token is not published", where);
  const ImageClassifierOptions options{
      .encoder = supernet ? of_kind("vit-resnas-supernet", resnas)
                          : of_kind("vit-resnas", static_cast<const ResnasOptions&>(resnas)),
      .distillation = resnas.distillation,
      .classes = classes,
      .labels = read_labels(config.json())};
  std::shared_ptr<ImageClassifier> model;
  if (patches)
    model = std::make_shared<PatchLabellingClassifier>(options);
  else
    model = std::make_shared<ImageClassifier>(options);
  const NameTable heads = {
      {"cls_head.*", "head.*"}, {"dst_head.*", "distillation_head.*"}, {"patch_head.*", "patch_head.*"}};
  return {model, heads + names().within("", "encoder.")};
}

const FamilyRegistration resnas({"vit-resnas", "ViT-ResNAS and its super-network (the authors' code)",
                                 [](const Json& config) { return config.contains("network_def"); }, assemble_resnas});

}  // namespace
}  // namespace tessera

// Florence-2 (Xiao et al., 2023): DaViT, positions and means, and BART, as transformers publishes it and in the first
// files, which name their parts otherwise and have the picture stand before the text.
#include "bridges/grid_projection.h"
#include "encoders/davit.h"
#include "io/published_config.h"
#include "language/bart.h"
#include "layers/family.h"
#include "text/tokenizer.h"
#include "vlm/florence2_tasks.h"
#include "vlm/vision_language.h"

namespace tessera {
namespace {

/// Asked by the token of a task, or a question as it stands.
class Florence2 : public VisionLanguage {
 public:
  using VisionLanguage::VisionLanguage;
  std::string question_prompt(const std::string& question, int64_t pictures) const override {
    return places(pictures) + florence2_prompt(question);
  }
  std::string caption_prompt(const CaptionLanguage& language, int64_t pictures) const override {
    english_alone(language);
    return question_prompt("<CAPTION>", pictures);
  }
  Encoding prompt_ids(const std::string& prompt, const Tokenizer& tokenizer) const override {
    return ids_behind_places(prompt, tokenizer);
  }
  std::optional<std::vector<PictureRegion>> regions(const std::string& question, const std::string& written,
                                                    int64_t width, int64_t height) const override {
    if (!florence2_asks_for_places(question)) return std::nullopt;
    return florence2_answer(question, written, width, height).regions;
  }
};

/// The first files give the widths under this name. Those that were converted from them carry both.
bool is_original(const Json& json) {
  const Json vision = json.value("vision_config", Json::object());
  return vision.contains("dim_embed") && !vision.contains("embed_dim");
}

DavitOptions read_davit(PublishedConfig& config) {
  DavitOptions davit;
  davit.channels = config.get<int64_t>("in_channels|in_chans", 3);
  davit.dims = config.get<std::vector<int64_t>>("embed_dim|dim_embed", davit.dims);
  davit.depths = config.get<std::vector<int64_t>>("depths", davit.depths);
  davit.heads = config.get<std::vector<int64_t>>("num_heads", davit.heads);
  davit.groups = config.get<std::vector<int64_t>>("num_groups", davit.groups);
  davit.kernels = config.get<std::vector<int64_t>>("patch_size", davit.kernels);
  davit.strides = config.get<std::vector<int64_t>>("patch_stride", davit.strides);
  davit.paddings = config.get<std::vector<int64_t>>("patch_padding", davit.paddings);
  davit.pre_norm = config.get<std::vector<bool>>("patch_prenorm", davit.pre_norm);
  davit.window = config.get<int64_t>("window_size", 12);
  davit.ffn_ratio = config.get<double>("mlp_ratio", 4);
  davit.qkv_bias = config.get<bool>("qkv_bias", true);
  davit.activation = config.get<std::string>("activation_function", "gelu");
  davit.drop_path = config.get<double>("drop_path_rate", 0.1);
  config.ignore({"enable_checkpoint"});
  return davit;
}

/// Where the keys of the positions stand: {"type": ..., "max_...": ...} in the first files.
int64_t read_table(PublishedConfig& config, const std::string& key, const std::string& type, const std::string& size,
                   int64_t otherwise) {
  PublishedConfig table = config.nested(key);
  table.expect("type", type);
  const int64_t rows = table.get<int64_t>(size, otherwise);
  table.done();
  return rows;
}

GridProjectionOptions read_bridge(PublishedConfig& config, const DavitOptions& davit, bool original) {
  GridProjectionOptions bridge;
  if (davit.dims.empty()) throw Error("there are no stages", config.where());
  bridge.dim = davit.dims.back();
  bridge.width = config.get<int64_t>("projection_dim", 1024);
  if (original) {
    bridge.positions = read_table(config, "image_pos_embed", "learned_abs_2d", "max_pos_embeddings", 50);
    bridge.frames = read_table(config, "visual_temporal_embedding", "COSINE", "max_temporal_embeddings", 100);
    bridge.sources = config.get<std::vector<std::string>>("image_feature_source", bridge.sources);
  } else {
    bridge.positions = config.get<int64_t>("max_position_embeddings", 50);
    bridge.frames = config.get<int64_t>("max_temporal_embeddings", 100);
    config.ignore({"image_pos_embed", "visual_temporal_embedding", "image_feature_source", "max_pos_embeddings"});
  }
  return bridge;
}

NameTable bridge_names(bool original) {
  const std::string positions = original ? "image_pos_embed." : "image_position_embed.";
  const NameTable tables = {{"row_embeddings.weight", "rows.weight"}, {"column_embeddings.weight", "columns.weight"}};
  const NameTable projection = original ? NameTable{{"image_projection", "projection.weight^T"}}
                                        : NameTable{{"image_projection.weight", "projection.weight"}};
  return projection + tables.within(positions, "") +
         NameTable{{"image_proj_norm.*", "norm.*"}, {"visual_temporal_embed.pos_idx_to_embed", "frames"}};
}

NameTable names(bool original) {
  const std::string model = original ? "" : "model.";
  const NameTable head = original ? NameTable{{"language_model.lm_head.weight", "language.words.weight", true},
                                              {"language_model.final_logits_bias", "language.logits_bias"}}
                                  : NameTable{{"lm_head.weight", "language.words.weight", true}};
  const std::string tower = model + "vision_tower", bridge = model + "multi_modal_projector";
  return head + davit_names(original).within(tower + ".", "encoder.") +
         bridge_names(original).within(original ? "" : bridge + ".", "bridge.") +
         bart_names().within(original ? "language_model.model." : "model.language_model.", "language.") +
         NameTable({}, {{tower.c_str(), "encoder.map"}, {bridge.c_str(), "bridge"}});
}

Assembly assemble_florence2(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const bool original = is_original(json);
  PublishedConfig vision = config.nested("vision_config"), text = config.nested("text_config");
  const DavitOptions davit = read_davit(vision);
  const GridProjectionOptions bridge = read_bridge(vision, davit, original);
  vision.done();
  BartOptions bart = read_bart(text);
  bart.logits_bias = original;
  text.done();
  VisionLanguageOptions options{.join = original ? "prepend" : "replace"};
  if (!original) options.placeholder_id = config.get<int64_t>("image_token_id|image_token_index", 51289);
  config.ignore({"projection_dim", "vocab_size", "ignore_index", "bos_token_id", "eos_token_id", "pad_token_id"});
  config.done();
  const VisionLanguageParts parts{std::make_shared<Davit>(davit), std::make_shared<GridProjection>(bridge),
                                  std::make_shared<Bart>(bart)};
  return {std::make_shared<Florence2>(parts, options), names(original)};
}

const FamilyRegistration family({"florence2", "Florence-2 (transformers, and the first files)",
                                 [](const Json& config) { return is_model_type(config, {"florence2"}); },
                                 assemble_florence2});

}  // namespace
}  // namespace tessera

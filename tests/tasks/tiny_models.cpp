#include "tasks/tiny_models.h"

#include "core/files.h"
#include "core/progress.h"
#include "encoders/encoder.h"
#include "language/text_encoder.h"
#include "layers/promises.h"
#include "text/examples.h"

namespace tessera::testing {
namespace {

const bool kSilent = Progress::quiet = true;

class MeanColour : public Encoder {
 public:
  explicit MeanColour(const NoOptions&) {}
  Tokens forward(const Tensor& pixels) override {
    if (before_encoding()) before_encoding()(pixels.size(0));
    Tokens tokens;
    tokens.x = pixels.mean({2, 3}).unsqueeze(1);  // B x 1 x 3
    return tokens;
  }
  int64_t width() const override { return 3; }
  Layout layout(int64_t, int64_t) const override { return {.grid = {1, 1}}; }
};
const Registration<Encoder, MeanColour, NoOptions> colours(encoders(), "test-mean-colour");

struct WordTableOptions {
  int64_t words = 0;
};
TESSERA_OPTIONS(WordTableOptions, words)

class WordTable : public TextEncoder {
 public:
  explicit WordTable(const WordTableOptions& options) { table_ = weight("table", {options.words, 3}); }
  Tokens forward(const TextBatch& text) override {
    Tokens tokens;
    tokens.x = torch::embedding(table_, text.ids);
    tokens.mask = text.mask;
    return tokens;
  }
  int64_t width() const override { return 3; }
  int64_t context() const override { return 8; }

 private:
  Tensor table_;
};
const Registration<TextEncoder, WordTable, WordTableOptions> words(text_encoders(), "test-word-table");

/// One token a word; token 0 is what it does not know.
Tokenizer word_tokenizer(const std::map<std::string, Rgb>& known) {
  Json vocabulary = {{"[UNK]", 0}};
  for (const auto& [word, colour] : known) vocabulary[word] = vocabulary.size();
  const Json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", Json::array()},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", {{"type", "Whitespace"}}},
                     {"post_processor", nullptr},
                     {"decoder", nullptr},
                     {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "[UNK]"}}}};
  return parse_tokenizer_json(file.dump());
}

ImageProcessorOptions square_pictures(int64_t side, double mean, double deviation) {
  ImageProcessorOptions options;
  options.kind = "CLIP";
  options.height = options.width = side;
  options.mean = {mean, mean, mean};
  options.std = {deviation, deviation, deviation};
  return options;
}

Model written_and_loaded(Model& model, const fs::path& folder, const ImageProcessorOptions& processor) {
  model.processor = std::make_shared<ImageProcessor>(processor);
  save_model(model, folder);
  return load_model(folder);
}

constexpr int64_t kPlace = 401;

/// Reads and writes bytes, and knows <image>.
std::shared_ptr<Tokenizer> picture_tokenizer() {
  Json file = byte_level_json();
  file["added_tokens"].push_back({{"id", kPlace}, {"content", "<image>"}, {"special", true}, {"normalized", false}});
  return std::make_shared<Tokenizer>(parse_tokenizer_json(file.dump()));
}

Json blip2_config(const std::string& type, const Json& text) {
  const Json vision = {{"hidden_size", 16},        {"intermediate_size", 20}, {"num_hidden_layers", 1},
                       {"num_attention_heads", 2}, {"image_size", 8},         {"patch_size", 4}};
  const Json former = {{"hidden_size", 12},         {"num_hidden_layers", 2},  {"num_attention_heads", 3},
                       {"intermediate_size", 16},   {"vocab_size", 402},       {"max_position_embeddings", 64},
                       {"encoder_hidden_size", 16}, {"hidden_dropout_prob", 0}};
  return {{"model_type", type},  {"vision_config", vision}, {"qformer_config", former},
          {"text_config", text}, {"num_query_tokens", 3},   {"image_token_index", kPlace}};
}

Json florence2_config() {
  const Json vision = {{"embed_dim", {8, 12}},    {"depths", {1, 1}},     {"num_heads", {2, 2}},
                       {"num_groups", {2, 3}},    {"patch_size", {7, 3}}, {"patch_stride", {4, 2}},
                       {"patch_padding", {3, 1}}, {"window_size", 3},     {"patch_prenorm", {false, true}},
                       {"projection_dim", 16},    {"drop_path_rate", 0},  {"max_position_embeddings", 5},
                       {"mlp_ratio", 2}};
  const Json text = {{"model_type", "bart"},  {"vocab_size", 402},     {"d_model", 16},
                     {"encoder_layers", 1},   {"decoder_layers", 1},   {"encoder_attention_heads", 2},
                     {"encoder_ffn_dim", 20}, {"decoder_ffn_dim", 20}, {"decoder_attention_heads", 2},
                     {"dropout", 0}};
  return {{"model_type", "florence2"}, {"vision_config", vision}, {"text_config", text}, {"image_token_id", kPlace}};
}

/// A tower of SigLIP or CLIP and a relative of LLaMA.
Json tower_config(const std::string& type, const std::string& tower, const std::string& text) {
  const Json vision = {{"model_type", tower}, {"hidden_size", 16}, {"intermediate_size", 20}, {"num_hidden_layers", 2},
                       {"image_size", 8},     {"patch_size", 4},   {"num_attention_heads", 2}};
  const Json language = {{"model_type", text},
                         {"vocab_size", 402},
                         {"hidden_size", 24},
                         {"intermediate_size", 20},
                         {"num_hidden_layers", 1},
                         {"num_attention_heads", 2},
                         {"num_key_value_heads", 2},
                         {"max_position_embeddings", 256},
                         {"head_dim", 12}};
  return {{"model_type", type}, {"vision_config", vision}, {"text_config", language}, {"image_token_index", kPlace}};
}

}  // namespace

Json talking_config(const std::string& family) {
  const Json opt = {{"model_type", "opt"}, {"vocab_size", 402},        {"hidden_size", 16},
                    {"ffn_dim", 20},       {"num_hidden_layers", 1},   {"num_attention_heads", 2},
                    {"dropout", 0},        {"word_embed_proj_dim", 16}};
  const Json t5 = {{"model_type", "t5"}, {"vocab_size", 402}, {"d_model", 16},  {"d_kv", 8},
                   {"d_ff", 20},         {"num_layers", 1},   {"num_heads", 2}, {"dropout_rate", 0}};
  if (family == "blip2-opt") return blip2_config("blip-2", opt);
  if (family == "blip2-t5") return blip2_config("blip-2", t5);
  if (family == "instructblip") return blip2_config("instructblip", opt);
  if (family == "florence2") return florence2_config();
  if (family == "llava") return tower_config("llava", "clip_vision_model", "llama");
  if (family == "paligemma") {
    Json config = tower_config("paligemma", "siglip_vision_model", "gemma");
    config["projection_dim"] = 24;
    return config;
  }
  const Json encoder = {{"kind", "vit"}, {"image", {8, 8}}, {"patch", {4, 4}}, {"dim", 16},
                        {"depth", 1},    {"heads", 2},      {"ffn", 20}};
  const Json language = {{"kind", "decoder"}, {"vocabulary", kPlace}, {"dim", 24}, {"depth", 2}, {"heads", 2},
                         {"ffn", 24},         {"context", 256}};
  const Json bridge = {{"kind", "mlp"}, {"dim", 16}, {"width", 24}};
  const Json parts = {{"encoder", encoder}, {"bridge", bridge}, {"language", language}, {"placeholder_id", kPlace}};
  return {{"model_type", "tessera-vision-language"}, {"vision_language", parts}};
}

Model talking_model(const fs::path& folder, const std::string& family, const std::string& chat_template) {
  Model model = make_model(talking_config(family), "test");
  randomise(*model.module, 0.4);
  model.tokenizer = picture_tokenizer();
  if (family == "instructblip") model.instruction_tokenizer = picture_tokenizer();
  model.chat_template = chat_template;
  std::vector<int64_t> never;
  for (int64_t id = kWritten; id <= kPlace; ++id)
    if (id != kEnd && (id < kPlace || family != "any")) never.push_back(id);
  model.generation = {{"eos_token_id", kEnd}, {"max_new_tokens", 8}, {"suppress_tokens", never}};
  return written_and_loaded(model, folder, square_pictures(8, 0.5, 0.5));
}

const std::map<std::string, Rgb>& colour_words() {
  static const std::map<std::string, Rgb> known = {{"red", {1, 0, 0}},  {"scarlet", {1, 0, 0}}, {"green", {0, 1, 0}},
                                                   {"blue", {0, 0, 1}}, {"white", {1, 1, 1}},   {"dim", {0.1F, 0, 0}}};
  return known;
}

std::function<void(int64_t)>& before_encoding() {
  static std::function<void(int64_t)> hook;
  return hook;
}

Model colour_model(const fs::path& folder, const std::map<std::string, Rgb>& known) {
  const auto count = static_cast<int64_t>(known.size()) + 1;
  const Json config = {{"image", {{"kind", "test-mean-colour"}}},
                       {"image_projection", "none"},
                       {"text", {{"kind", "test-word-table"}, {"words", count}}},
                       {"text_pool", "mean"},
                       {"text_projection", "none"},
                       {"dim", 3},
                       {"logit_scale", std::log(10.0)}};
  Model model = make_model({{"model_type", "tessera-dual-encoder"}, {"dual_encoder", config}}, "test");
  const Tokenizer tokenizer = word_tokenizer(known);
  const torch::NoGradGuard no_gradient;
  Tensor table = model.module->named_parameters()["text.table"];
  table.fill_(0.5);
  for (const auto& [word, colour] : known)
    for (size_t c = 0; c < 3; ++c) table[*tokenizer.token_to_id(word)][static_cast<int64_t>(c)] = colour[c];
  model.tokenizer = std::make_shared<Tokenizer>(tokenizer);
  return written_and_loaded(model, folder, square_pictures(8, 0, 1));
}

Model tower_model(const fs::path& folder) {
  const auto count = static_cast<int64_t>(colour_words().size()) + 1;
  const Json image = {{"kind", "vit"}, {"image", {16, 16}}, {"patch", {8, 8}}, {"dim", 16},
                      {"depth", 1},    {"heads", 2},        {"ffn", 24}};
  const Json text = {{"kind", "text-transformer"},
                     {"vocabulary", count},
                     {"context", 8},
                     {"dim", 16},
                     {"depth", 1},
                     {"heads", 2},
                     {"ffn", 24},
                     {"causal", false}};
  const Json config = {{"image", image}, {"text", text}, {"text_pool", "mean"}, {"dim", 10}};
  Model model = make_model({{"model_type", "tessera-dual-encoder"}, {"dual_encoder", config}}, "test");
  randomise(*model.module);
  model.tokenizer = std::make_shared<Tokenizer>(word_tokenizer(colour_words()));
  return written_and_loaded(model, folder, square_pictures(16, 0.5, 0.5));
}

Model classifier_model(const fs::path& folder, const std::vector<std::string>& labels) {
  Json config = {{"model_type", "vit"},    {"image_size", 16},         {"patch_size", 8},        {"hidden_size", 16},
                 {"num_hidden_layers", 1}, {"num_attention_heads", 2}, {"intermediate_size", 24}};
  for (size_t i = 0; i < labels.size(); ++i) config["id2label"][std::to_string(i)] = labels[i];
  Model model = make_model(config, "test");
  randomise(*model.module);
  return written_and_loaded(model, folder, square_pictures(16, 0.5, 0.5));
}

std::string png_of(const std::vector<uint8_t>& pixel, int64_t side) {
  Image image(side, side, static_cast<int64_t>(pixel.size()));
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = pixel[i % pixel.size()];
  const std::vector<uint8_t> bytes = encode_png(image);
  return {bytes.begin(), bytes.end()};
}

void write_colour(const fs::path& file, Colour colour, int64_t side) {
  write_file(file, png_of({colour.begin(), colour.end()}, side));
}

}  // namespace tessera::testing

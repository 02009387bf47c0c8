#include "tasks/tiny_models.h"

#include "core/files.h"
#include "core/progress.h"
#include "encoders/encoder.h"
#include "language/text_encoder.h"
#include "layers/promises.h"

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

}  // namespace

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

#pragma once
#include <array>
#include <map>

#include "core/files.h"
#include "core/progress.h"
#include "io/image.h"
#include "layers/promises.h"
#include "models/model.h"
#include "support/scratch.h"
#include "text/examples.h"
#include "train/trainer.h"
#include "train/tune_learner.h"

namespace tessera::testing {

namespace fs = std::filesystem;

constexpr const char* kChat =
    "{% for m in messages %}[{{ m.role }}] {% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content "
    "%}"
    "{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}"
    "{% if m.role == 'assistant' %}<|end|>{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}[assistant] "
    "{% endif "
    "%}";

inline Json gpt2_config() {
  return {{"model_type", "gpt2"}, {"vocab_size", 402}, {"n_embd", 16},       {"n_layer", 2},
          {"n_head", 4},          {"n_positions", 96}, {"eos_token_id", 400}};
}

inline Json llama_config() {
  return {{"model_type", "llama"},        {"vocab_size", 402},      {"hidden_size", 16},
          {"intermediate_size", 24},      {"num_hidden_layers", 2}, {"num_attention_heads", 4},
          {"num_key_value_heads", 2},     {"rms_norm_eps", 1e-6},   {"max_position_embeddings", 96},
          {"tie_word_embeddings", false}, {"eos_token_id", 400}};
}

inline Json mamba2_config() {
  return {{"model_type", "tessera-language-model"},
          {"language_model",
           {{"kind", "mamba2"},
            {"vocabulary", 402},
            {"dim", 16},
            {"depth", 1},
            {"heads", 4},
            {"head_dim", 8},
            {"state", 4},
            {"groups", 1}}}};
}

/// A picture of 16 x 16 pixels is four tokens.
inline Json seeing_config() {
  const Json encoder = {{"kind", "vit"}, {"image", {16, 16}}, {"patch", {8, 8}}, {"dim", 16},
                        {"depth", 1},    {"heads", 2},        {"ffn", 24}};
  const Json language = {{"kind", "decoder"}, {"vocabulary", 402}, {"dim", 16},     {"depth", 2},
                         {"heads", 2},        {"ffn", 24},         {"context", 96}, {"positions", "rotary"}};
  return {{"model_type", "tessera-vision-language"},
          {"vision_language",
           {{"encoder", encoder},
            {"bridge", {{"kind", "mlp"}, {"dim", 16}, {"width", 16}}},
            {"language", language},
            {"placeholder_id", 401}}}};
}

/// BLIP-2 or InstructBLIP with OPT: a picture of 16 x 16 pixels is three tokens.
inline Json blip2_config(const std::string& type) {
  const Json vision = {{"hidden_size", 16},        {"intermediate_size", 20}, {"num_hidden_layers", 1},
                       {"num_attention_heads", 2}, {"image_size", 16},        {"patch_size", 8}};
  const Json former = {{"hidden_size", 12},         {"num_hidden_layers", 1},  {"num_attention_heads", 3},
                       {"intermediate_size", 16},   {"vocab_size", 402},       {"max_position_embeddings", 64},
                       {"encoder_hidden_size", 16}, {"hidden_dropout_prob", 0}};
  const Json opt = {{"model_type", "opt"}, {"vocab_size", 402},         {"hidden_size", 16},
                    {"ffn_dim", 20},       {"num_hidden_layers", 1},    {"num_attention_heads", 2},
                    {"dropout", 0},        {"word_embed_proj_dim", 16}, {"max_position_embeddings", 96}};
  return {{"model_type", type},    {"vision_config", vision},  {"qformer_config", former}, {"text_config", opt},
          {"num_query_tokens", 3}, {"image_token_index", 401}, {"eos_token_id", 400}};
}

/// Has the tokenizer put the end token before each text, as OPT's does.
inline Json begins_with_end(Json tokenizer) {
  const Json begin = {{"SpecialToken", {{"id", "<|end|>"}, {"type_id", 0}}}};
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, pair = {{"Sequence", {{"id", "B"}, {"type_id", 0}}}};
  tokenizer["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", Json::array({begin, text})},
      {"pair", Json::array({begin, text, pair})},
      {"special_tokens", {{"<|end|>", {{"id", "<|end|>"}, {"ids", {400}}, {"tokens", {"<|end|>"}}}}}}};
  return tokenizer;
}

/// Writes a model with drawn weights that reads and writes bytes, "<|end|>" and "<image>".
inline void write_model(const Json& config, const fs::path& folder, bool with_template = true) {
  Model model = make_model(config, "test");
  randomise(*model.module, 0.2);
  const torch::NoGradGuard no_gradient;
  for (auto& item : model.module->named_parameters()) {  // so that a token can be far likelier than another
    if (item.key().find("norm") != std::string::npos && item.key().ends_with("weight")) item.value().fill_(1);
    if (item.key().ends_with("words.weight") || item.key().ends_with("head.weight")) item.value().mul_(3);
  }
  Json tokenizer = byte_level_json();
  tokenizer["added_tokens"].push_back({{"id", 401}, {"content", "<image>"}, {"special", true}, {"normalized", false}});
  const bool blip2 = config.contains("qformer_config");
  if (blip2) tokenizer = begins_with_end(tokenizer);
  model.tokenizer = std::make_shared<Tokenizer>(parse_tokenizer_json(tokenizer.dump()));
  if (with_template) model.chat_template = kChat;
  if (config.at("model_type") == "tessera-vision-language" || blip2) {
    ImageProcessorOptions options;
    options.kind = "CLIP";
    options.height = options.width = 16;
    model.processor = std::make_shared<ImageProcessor>(options);
  }
  save_model(model, folder);
}

inline void write_colour(const fs::path& file, const std::array<uint8_t, 3>& colour) {
  Image image(16, 16, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % 3];
  const std::vector<uint8_t> png = encode_png(image);
  write_file(file, {reinterpret_cast<const char*>(png.data()), png.size()});
}

inline std::string turn(const std::string& question, const std::string& answer) {
  return Json{{"messages", {{{"role", "user"}, {"content", question}}, {{"role", "assistant"}, {"content", answer}}}}}
             .dump() +
         "\n";
}

/// A few answers of different lengths.
inline std::string conversations() {
  return turn("red?", "yes") + turn("blue?", "no") + turn("how many are there?", "three of them") + turn("a", "b");
}

inline Json tune_recipe(const fs::path& base, const fs::path& data, const std::string& method) {
  return {{"base", base.string()},
          {"tune", {{"method", method}, {"data", {data.string()}}, {"validation", {data.string()}}}},
          {"optimizer", {{"learning_rate", 2e-2}, {"weight_decay", 0}}},
          {"schedule", {{"warmup", 2}}},
          {"steps", 25},
          {"batch", 2},
          {"precision", "float32"},
          {"checkpoint_every", 5},
          {"threads", 1}};
}

}  // namespace tessera::testing

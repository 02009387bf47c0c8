#include "vlm/paligemma.h"

#include "bridges/projection.h"
#include "text/tokenizer.h"
#include "vlm/published.h"

namespace tessera {

Tokens PaliGemma::join(const std::vector<Tensor>& pictures, const TextBatch& text) {
  Tokens tokens = VisionLanguage::join(pictures, text);
  if (text.type_ids.defined()) tokens.span = torch::where(text.type_ids.eq(0), 0, torch::full_like(text.type_ids, -1));
  return tokens;
}

std::string PaliGemma::expand_placeholders(const std::string& text, const ImageBatch& pictures) const {
  int64_t tokens = 0;
  for (const int64_t length : picture_lengths(pictures)) tokens += length;
  return places(tokens) + "<bos>" + without_places(text) + "\n";
}

std::string PaliGemma::question_prompt(const std::string& question, int64_t) const { return "answer en " + question; }

std::string PaliGemma::caption_prompt(const CaptionLanguage& language, int64_t) const {
  return "caption " + language.tag;
}

Encoding PaliGemma::prompt_ids(const std::string& prompt, const Tokenizer& tokenizer) const {
  return tokenizer.encode(prompt, false);
}

namespace {

Assembly assemble_paligemma(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const VisionTower tower = read_vision_tower(config.nested("vision_config"), "siglip_vision_model");
  const auto encoder = std::make_shared<Vit>(tower.options);
  // Files of version 5 say that the text is read in both directions; which part of it is, the type ids decide.
  Json text = config.nested("text_config").json();
  text.erase("use_bidirectional_attention"), text.erase("num_image_tokens");
  // This class has a head of its own, which leaves the logits as they are.
  if (is_model_type(text, {"gemma2"})) text["final_logit_softcapping"] = nullptr;
  const Assembly language = read_language_model({text, where + ": text_config"}, "gemma");
  const auto model = std::dynamic_pointer_cast<LanguageModel>(language.module);
  const int64_t width = config.get<int64_t>("projection_dim", 2048);
  const auto bridge = std::make_shared<LinearBridge>(LinearBridgeOptions{.dim = encoder->width(), .width = width});
  const VisionLanguageOptions options{.placeholder_id =
                                          read_placeholder(config, "image_token_index|image_token_id", 256000)};
  config.ignore({"_vocab_size", "vocab_size", "hidden_size", "bos_token_id", "eos_token_id", "pad_token_id",
                 "ignore_index", "num_hidden_layers"});
  config.done();
  const NameTable projector = {{{"linear.*", "linear.*"}}};
  return {std::make_shared<PaliGemma>(VisionLanguageParts{encoder, bridge, model}, options),
          vision_language_names(tower, "", projector, language)};
}

const FamilyRegistration family({"paligemma", "PaliGemma and PaliGemma 2 (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"paligemma"}); },
                                 assemble_paligemma});

}  // namespace
}  // namespace tessera

#include "vlm/vision_language.h"

#include "io/published_config.h"
#include "language/encoder_decoder.h"
#include "layers/device.h"
#include "layers/family.h"
#include "text/encodings.h"
#include "vlm/moved.h"
#include "vlm/splice.h"

namespace tessera {

VisionLanguage::VisionLanguage(const VisionLanguageParts& parts, const VisionLanguageOptions& options)
    : options_(options) {
  check_choice(options.join, {"replace", "prepend"}, "join");
  check_choice(options.features, {"patches", "all"}, "features");
  if (const int64_t reads = parts.bridge->source_width(); reads > 0 && reads != parts.encoder->width())
    throw Error("the encoder makes tokens of width " + std::to_string(parts.encoder->width()) + ", the bridge reads " +
                    std::to_string(reads),
                "bridge", "the parts do not belong together");
  if (parts.bridge->width() != parts.language->width())
    throw Error("the bridge makes tokens of width " + std::to_string(parts.bridge->width()) +
                    ", the language model reads " + std::to_string(parts.language->width()),
                "bridge", "the parts do not belong together");
  encoder_ = register_module("encoder", parts.encoder);
  bridge_ = register_module("bridge", parts.bridge);
  language_ = register_module("language", parts.language);
}

Tokens VisionLanguage::bridged(const Tensor& pixels, const Tensor& real, const TextBatch& instruction) {
  Tokens visual = encoder_->forward(pixels, real);
  if (options_.features == "patches" && visual.prefix + visual.suffix > 0) {
    if (visual.mask.defined())
      visual.mask = visual.mask.narrow(1, visual.prefix, visual.mask.size(1) - visual.prefix - visual.suffix);
    visual.x = visual.body();
    visual.prefix = visual.suffix = 0;
  }
  return bridge_->forward(visual, instruction.ids.defined() ? &instruction : nullptr);
}

MultimodalBatch moved(const MultimodalBatch& batch, torch::Device device) {
  MultimodalBatch there = batch;
  there.pictures.pixel_values = moved(batch.pictures.pixel_values, device);
  there.pictures.pixel_mask = moved(batch.pictures.pixel_mask, device);
  there.text = moved(batch.text, device), there.instruction = moved(batch.instruction, device);
  return there;
}

int64_t picture_count(const ImageBatch& pictures) {
  return pictures.pixel_values.defined() ? pictures.pixel_values.size(0) : 0;
}

std::vector<int64_t> VisionLanguage::picture_lengths(const ImageBatch& pictures) const {
  const int64_t count = picture_count(pictures);
  if (count == 0) return {};
  const auto layout = encoder_->layout(pictures.pixel_values.size(-2), pictures.pixel_values.size(-1));
  int64_t visual = options_.features == "all" ? layout.prefix + layout.suffix : 0, cells = 1;
  for (const int64_t extent : layout.grid) cells *= extent;
  return std::vector<int64_t>(static_cast<size_t>(count), bridge_->length(visual + cells));
}

std::string VisionLanguage::expand_placeholders(const std::string& text, const ImageBatch& pictures) const {
  if (options_.join == "prepend") return without_places(text);
  return replace_each(text, pictures, [](const std::string& places) { return places; });
}

std::string VisionLanguage::replace_each(const std::string& text, const ImageBatch& pictures,
                                         const std::function<std::string(const std::string& places)>& around) const {
  const std::string& one = options_.placeholder;
  const std::vector<int64_t> lengths = picture_lengths(pictures);
  std::string expanded;
  size_t from = 0, next = 0;
  for (size_t at = text.find(one); at != std::string::npos; at = text.find(one, from), ++next) {
    expanded += text.substr(from, at - from);
    std::string places;
    for (int64_t i = 0; next < lengths.size() && i < lengths[next]; ++i) places += one;
    expanded += around(places);
    from = at + one.size();
  }
  if (next != lengths.size())
    throw Error("the text has " + std::to_string(next) + " times " + one + ", and there are " +
                    std::to_string(lengths.size()) + " pictures",
                "prompt", "write " + one + " once for each picture");
  return expanded + text.substr(from);
}

std::string VisionLanguage::places(int64_t pictures) const {
  std::string all;
  for (int64_t i = 0; options_.join == "replace" && i < pictures; ++i) all += options_.placeholder;
  return all;
}

std::string VisionLanguage::without_places(std::string text) const {
  const std::string& one = options_.placeholder;
  for (size_t at = text.find(one); at != std::string::npos; at = text.find(one, at)) text.erase(at, one.size());
  return text;
}

std::string VisionLanguage::question_prompt(const std::string& question, int64_t pictures) const {
  return places(pictures) + "\n" + question + "\n";
}

std::string VisionLanguage::caption_prompt(const CaptionLanguage& language, int64_t pictures) const {
  return question_prompt(caption_words(language), pictures);
}

Encoding VisionLanguage::prompt_ids(const std::string& prompt, const Tokenizer& tokenizer) const {
  const std::string& one = options_.placeholder;
  if (prompt.find(one) != std::string::npos && !tokenizer.token_to_id(one))
    throw Error("has no token " + one + ", which stands for a picture", "tokenizer",
                "take the tokenizer that the model's processor ships");
  return encode_prompt(prompt, tokenizer);
}

Encoding VisionLanguage::ids_behind_places(const std::string& prompt, const Tokenizer& tokenizer) const {
  const std::string& one = options_.placeholder;
  const auto size = static_cast<int64_t>(one.size());
  Encoding all;
  int64_t at = 0;
  for (; prompt.compare(static_cast<size_t>(at), one.size(), one) == 0; at += size) {
    text::push_special(all, options_.placeholder_id, one, 0);
    all.offsets.back() = {at, at + size};
    all.special.back() = false;  // the prompt has it
  }
  Encoding words = VisionLanguage::prompt_ids(prompt.substr(static_cast<size_t>(at)), tokenizer);
  for (size_t i = 0; i < words.size(); ++i)
    if (!words.special[i]) words.offsets[i].begin += at, words.offsets[i].end += at;
  text::append(all, words);
  return all;
}

std::optional<std::vector<PictureRegion>> VisionLanguage::regions(const std::string&, const std::string&, int64_t,
                                                                  int64_t) const {
  return std::nullopt;
}

void VisionLanguage::english_alone(const CaptionLanguage& language) {
  if (language.tag != "en")
    throw Error("this model captions in English alone, not in " + language.name, "caption language",
                "leave it out, or take a model that follows instructions (LLaVA)");
}

std::vector<Tensor> VisionLanguage::picture_tokens(const MultimodalBatch& batch) {
  const ImageBatch& pictures = batch.pictures;
  if (picture_count(pictures) == 0) return {};
  return bridged(pictures.pixel_values, pictures.pixel_mask, batch.instruction).x.unbind(0);
}

Tokens VisionLanguage::join(const std::vector<Tensor>& pictures, const TextBatch& text) {
  Tokens tokens;
  tokens.mask = text.mask, tokens.ids = text.ids;
  if (options_.join == "prepend") {
    tokens.x = language_->embed(text.ids);
    return pictures.empty() ? tokens : prepend_pictures(pictures, tokens);
  }
  const Tensor places = text.ids.eq(options_.placeholder_id);  // B x L
  tokens.x = replace_placeholders(language_->embed(text.ids.masked_fill(places, 0)), places, pictures);
  tokens.ids = text.ids.masked_fill(places, -1);
  return tokens;
}

MultimodalPrompt VisionLanguage::begin(const std::vector<Tensor>& pictures, const TextBatch& text) {
  const Tokens joined = join(pictures, text);
  auto* reader = dynamic_cast<EncoderDecoder*>(language_.get());
  if (!reader) {
    auto words = real_ids(text);
    for (auto& row : words) std::erase(row, options_.placeholder_id);
    return {{joined, std::move(words)}, language_->start()};
  }
  const Tensor first = torch::full({joined.x.size(0), 1}, reader->start_id(), text.ids.options());
  return {text_prompt(*reader, {first, {}, {}}), reader->start(reader->encode_embedded(joined))};
}

Tensor VisionLanguage::forward(const MultimodalBatch& batch) {
  MultimodalPrompt prompt = begin(moved(batch, device_of(*this)));
  return logits(hidden(prompt.tokens, &prompt.state).x);
}

std::string caption_words(const CaptionLanguage& language) {
  return language.tag == "en" ? "Describe this picture." : "Describe this picture in " + language.name + ".";
}

Encoding encode_prompt(const std::string& prompt, const Tokenizer& tokenizer) {
  const auto begin = tokenizer.special_ids().bos;
  const auto spelled = begin ? tokenizer.id_to_token(*begin) : std::nullopt;
  return tokenizer.encode(prompt, !(spelled && prompt.starts_with(*spelled)));
}

std::shared_ptr<VisionLanguage> make_vision_language(const Json& options, const std::string& where) {
  PublishedConfig config(options, where);
  const auto part = [&](const char* name) { return config.nested(name).json(); };
  const VisionLanguageParts parts{encoders().make(part("encoder"), where + ": encoder"),
                                  bridges().make(part("bridge"), where + ": bridge"),
                                  language_models().make(part("language"), where + ": language")};
  Json rest = options;
  for (const char* name : {"encoder", "bridge", "language"}) rest.erase(name);
  return std::make_shared<VisionLanguage>(parts, read_options<VisionLanguageOptions>(rest, where));
}

Tensor generate(VisionLanguage& model, const MultimodalBatch& batch, const GenerateOptions& options) {
  const torch::NoGradGuard no_gradient;
  MultimodalPrompt prompt = model.begin(moved(batch, device_of(model)));
  return as_rows(decode(model, prompt, prompt.state, options), options.padding_id);
}

namespace {

const FamilyRegistration own(
    {"vision-language", "encoder, bridge and language model of any kind (Tessera)",
     [](const Json& config) { return is_model_type(config, {"tessera-vision-language"}); },
     [](const Json& json, const std::string& where) -> Assembly {
       PublishedConfig config(json, where);
       const Json options = config.nested("vision_language").json();
       config.done();
       return {make_vision_language(options, where + ": vision_language"), NameTable{{"*", "*"}}};
     }});

}  // namespace
}  // namespace tessera

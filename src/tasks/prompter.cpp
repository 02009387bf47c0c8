#include "tasks/prompter.h"

#include <algorithm>
#include <numeric>

#include "decode/text_stream.h"
#include "language/encoder_decoder.h"
#include "tasks/embed.h"
#include "vlm/moved.h"

namespace tessera {
namespace {

/// Passes on tokens as text, without those that end it.
class Speech {
 public:
  Speech(const Tokenizer& tokenizer, std::span<const int64_t> before, const std::vector<int64_t>& ends,
         const ChatHooks& hooks)
      : stream_(tokenizer, {}, before), ends_(ends), hooks_(hooks) {}

  void push(int64_t id) {
    if (std::find(ends_.begin(), ends_.end(), id) == ends_.end()) pass(stream_.push(id));
  }
  std::string finish() {
    pass(stream_.finish());
    return text_;
  }

 private:
  void pass(const std::string& piece) {
    text_ += piece;
    if (!piece.empty() && hooks_.on_text) hooks_.on_text(piece);
  }

  TextStream stream_;
  const std::vector<int64_t>& ends_;
  const ChatHooks& hooks_;
  std::string text_;
};

TextBatch one_text(const std::vector<int64_t>& ids) {
  const Tensor row = torch::tensor(ids, torch::kInt64).unsqueeze(0);
  return {row, {}, torch::zeros_like(row)};  // type 0: all of it is prompt
}

}  // namespace

ChatJson user_message(const std::string& text, const std::vector<std::string>& pictures) {
  ChatJson content = text;
  if (!pictures.empty()) {
    content = ChatJson::array();
    for (const auto& path : pictures) content.push_back({{"type", "image"}, {"path", path}});
    content.push_back({{"type", "text"}, {"text", text}});
  }
  return {{"role", "user"}, {"content", content}};
}

Encoding prompt_encoding(const Model& model, const std::string& prompt) {
  const Tokenizer& tokenizer = tokenizer_of(model);
  const auto* vision = dynamic_cast<VisionLanguage*>(model.module.get());
  return vision ? vision->prompt_ids(prompt, tokenizer) : encode_prompt(prompt, tokenizer);
}

Prompter::Prompter(const Model& model, const std::string& purpose)
    : model_(model),
      language_(model_.as<LanguageModel>(purpose)),
      vision_(dynamic_cast<VisionLanguage*>(model_.module.get())) {
  tokenizer_of(model_);
}

bool Prompter::reads_source() const {
  const LanguageModel& writer = vision_ ? vision_->language() : language_;
  return dynamic_cast<const EncoderDecoder*>(&writer) != nullptr;
}

std::vector<int64_t> Prompter::ids(const std::string& prompt, const ImageBatch& pictures) const {
  return prompt_encoding(model_, vision_ ? vision_->expand_placeholders(prompt, pictures) : prompt).ids;
}

std::vector<Tensor> Prompter::encode(const ImageBatch& pictures, const std::string& instruction) const {
  const torch::NoGradGuard no_gradient;
  MultimodalBatch batch;
  batch.pictures = pictures;
  if (vision_->bridge().reads_text() && !model_.instruction_tokenizer)
    throw Error("holds no tokenizer for the instruction that its bridge reads", model_.folder.string(),
                "add the folder qformer_tokenizer that is published with the model");
  if (const auto& reads = model_.instruction_tokenizer)
    batch.instruction.ids = one_text(reads->encode(instruction).ids).ids.expand({picture_count(pictures), -1});
  return vision_->picture_tokens(moved(batch, device_of(*vision_)));
}

MultimodalPrompt Prompter::begin(const std::vector<Tensor>& pictures, const std::vector<int64_t>& ids) const {
  const torch::NoGradGuard no_gradient;
  if (vision_) return vision_->begin(pictures, moved(one_text(ids), device_of(*vision_)));
  return {text_prompt(language_, one_text(ids)), language_.start()};
}

Prompter::Written Prompter::write(const Prompt& prompt, LanguageState& state, const std::vector<int64_t>& ids,
                                  GenerateOptions options, const ChatHooks& hooks) const {
  const torch::NoGradGuard no_gradient;
  options.log_probabilities = true;
  const std::vector<int64_t> before = reads_source() ? std::vector<int64_t>() : ids;
  Speech speech(*model_.tokenizer, before, options.end_ids, hooks);
  GenerateHooks decoding{.interrupted = hooks.interrupted};
  const bool streams = options.num_beams == 1 && options.num_return_sequences == 1;
  if (streams) decoding.on_token = [&](int64_t, int64_t id, double) { speech.push(id); };
  const Generated made = decode(language_, prompt, state, options, decoding).front();
  if (!streams)
    for (const int64_t id : made.ids) speech.push(id);
  const auto& each = made.log_probabilities;
  return {{speech.finish(), std::accumulate(each.begin(), each.end(), 0.0)}, made.ids};
}

}  // namespace tessera

#include "tasks/answer.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/pad_texts.h"
#include "data/questions.h"
#include "tasks/embed.h"
#include "tasks/generate_text.h"
#include "tasks/prompter.h"
#include "text/jinja_strings.h"
#include "vlm/moved.h"

namespace tessera {
TalkerFormat format_of(const Talker& talker, const Tokenizer& tokenizer) {
  const SpecialIds& special = tokenizer.special_ids();
  if (!special.bos || !special.eos)
    throw Error("has no tokens for the begin and the end of a text", "tokenizer", "a talker needs both");
  if (*special.bos != talker.begin_id())
    throw Error("begins a text with token " + std::to_string(*special.bos) + ", the model an answer with " +
                    std::to_string(talker.begin_id()),
                "tokenizer", "take the tokenizer of the model's folder");
  return {talker.options().placeholder_id, talker.picture_length(), *special.bos, *special.eos};
}

Answerer::Answerer(Talker& talker, const Tokenizer& tokenizer, std::optional<int64_t> max_new_tokens)
    : talker_(talker), tokenizer_(tokenizer), format_(format_of(talker, tokenizer)), max_new_tokens_(max_new_tokens) {}

/// Prompts with one picture each, padded left, so that all answers begin at one place.
TextBatch Answerer::batch(const std::vector<std::string>& questions) const {
  std::vector<std::vector<int64_t>> rows;
  for (const auto& question : questions) rows.push_back(format_.prompt(tokenizer_.encode(question, false).ids, true));
  const TextBatch text = pad_texts(rows, {.id = format_.end, .left = true});
  const int64_t longest = text.ids.size(1);
  if (const int64_t room = talker_.context() - longest_answer(); longest > room)
    throw Error(
        "takes " + std::to_string(longest) + " tokens with its picture, and the model reads " + std::to_string(room),
        "question", "ask a shorter one");
  return text;
}

std::vector<Answer> Answerer::answer(const Tensor& pixels, const std::vector<std::string>& questions) {
  const torch::NoGradGuard no_gradient;
  MultimodalBatch asked;
  asked.pictures.pixel_values = pixels;
  asked.text = batch(questions);
  MultimodalPrompt prompt = talker_.begin(moved(asked, device_of(talker_)));
  const GenerateOptions options{
      .max_new_tokens = std::min(max_new_tokens_.value_or(longest_answer()), longest_answer()),
      .end_ids = {format_.end},
      .log_probabilities = true};
  std::vector<Answer> answers;
  for (const Generated& made : decode(talker_, prompt, prompt.state, options)) {
    const auto end = std::find(made.ids.begin(), made.ids.end(), format_.end);
    const std::vector<int64_t> words(made.ids.begin(), end);
    Answer& answer = answers.emplace_back(Answer{tokenizer_.decode(words), 0});
    for (const double value : made.log_probabilities) answer.log_probability += value;
  }
  return answers;
}

namespace {

constexpr const char* kPurpose = "answer questions about pictures";

class TalkerAnswerer : public PictureAnswerer {
 public:
  TalkerAnswerer(const Model& model, std::optional<int64_t> max_new_tokens)
      : model_(model), answerer_(model_.as<Talker>(kPurpose), tokenizer_of(model_), max_new_tokens) {}

  std::vector<Answer> answer(const ImageBatch& pictures, const PictureRequest& request) override {
    const std::string question = request.caption.empty() ? request.question : naming(request.caption);
    return answerer_.answer(pictures.pixel_values, std::vector(static_cast<size_t>(picture_count(pictures)), question));
  }
  bool takes_batches() const override { return true; }

 private:
  std::string naming(const std::string& language) const {
    const auto& known = model_.as<Talker>(kPurpose).languages();
    if (!known.empty() && std::find(known.begin(), known.end(), language) == known.end()) {
      std::string listed;
      for (const auto& tag : known) listed += (listed.empty() ? "" : ", ") + tag;
      throw Error("is no language that this model was trained with", language, "choose among " + listed);
    }
    return Questions::naming(language);
  }

  Model model_;
  Answerer answerer_;
};

/// What a folder says of decoding, without what draws or searches.
GenerateOptions greedy(const GenerateOptions& said) {
  return {.max_new_tokens = said.max_new_tokens,
          .end_ids = said.end_ids,
          .padding_id = said.padding_id,
          .min_new_tokens = said.min_new_tokens,
          .repetition_penalty = said.repetition_penalty,
          .no_repeat_ngram_size = said.no_repeat_ngram_size,
          .bad_words_ids = said.bad_words_ids,
          .suppress_tokens = said.suppress_tokens,
          .begin_suppress_tokens = said.begin_suppress_tokens,
          .forced_bos_token_id = said.forced_bos_token_id,
          .forced_eos_token_id = said.forced_eos_token_id};
}

ImageBatch picture_of(const ImageBatch& all, int64_t index) {
  const auto row = [&](const Tensor& part) { return part.defined() ? part.narrow(0, index, 1) : part; };
  ImageBatch one{row(all.pixel_values), row(all.pixel_mask), row(all.image_sizes), {}};
  if (!all.tiles.empty()) one.tiles = {all.tiles[static_cast<size_t>(index)]};
  return one;
}

/// Height and width of a picture as it was given.
std::pair<int64_t, int64_t> size_of(const ImageBatch& picture) {
  const Tensor& pixels = picture.pixel_values;
  if (!picture.image_sizes.defined()) return {pixels.size(-2), pixels.size(-1)};
  return {picture.image_sizes[0][0].item<int64_t>(), picture.image_sizes[0][1].item<int64_t>()};
}

/// "cat at 10, 20, 110, 220": in pixels, as PictureRegion lists them.
std::string line_of(const PictureRegion& region) {
  std::string line = region.label;
  const auto add = [&](const std::vector<double>& coordinates, const char* between) {
    for (size_t i = 0; i < coordinates.size(); ++i)
      line += (i == 0 ? between : ", ") + std::to_string(std::lround(coordinates[i]));
  };
  const char* at = line.empty() ? "at " : " at ";
  add(region.box, at);
  add(region.quad, at);
  for (size_t i = 0; i < region.polygons.size(); ++i) add(region.polygons[i], i == 0 ? at : "; ");
  return line;
}

std::string lines_of(const std::vector<PictureRegion>& regions) {
  std::string lines;
  for (const PictureRegion& region : regions) lines += (lines.empty() ? "" : "\n") + line_of(region);
  return lines;
}

/// One picture after the other.
class VisionLanguageAnswerer : public PictureAnswerer {
 public:
  VisionLanguageAnswerer(const Model& model, std::optional<int64_t> max_new_tokens)
      : prompter_(model, kPurpose),
        vision_(prompter_.model().as<VisionLanguage>(kPurpose)),
        chat_(ChatTemplate::load(model.folder)),
        options_(greedy(default_decoding(model))) {
    if (max_new_tokens) options_.max_new_tokens = *max_new_tokens;
  }

  std::vector<Answer> answer(const ImageBatch& pictures, const PictureRequest& request) override {
    const std::string prompt = prompt_of(request);
    std::vector<Answer> answers;
    for (int64_t i = 0; i < picture_count(pictures); ++i)
      answers.push_back(answer_one(picture_of(pictures, i), prompt, request));
    return answers;
  }
  bool takes_batches() const override { return false; }

 private:
  static CaptionLanguage language_of(const PictureRequest& request) {
    return {request.caption, Questions::language_name(request.caption)};
  }
  static std::string words_of(const PictureRequest& request) {
    return request.caption.empty() ? request.question : caption_words(language_of(request));
  }
  std::string prompt_of(const PictureRequest& request) const {
    if (chat_)
      return chat_->render(ChatJson::array({user_message(words_of(request), {""})}), {.add_generation_prompt = true});
    return request.caption.empty() ? vision_.question_prompt(request.question, 1)
                                   : vision_.caption_prompt(language_of(request), 1);
  }
  Answer answer_one(const ImageBatch& picture, const std::string& prompt, const PictureRequest& request) const {
    const std::vector<int64_t> ids = prompter_.ids(prompt, picture);
    MultimodalPrompt begun = prompter_.begin(prompter_.encode(picture, words_of(request)), ids);
    auto [answer, written] = prompter_.write(begun, begun.state, ids, options_);
    const auto [height, width] = size_of(picture);
    answer.regions =
        vision_.regions(request.question, prompter_.model().tokenizer->decode(written, false), width, height);
    if (answer.regions) answer.text = lines_of(*answer.regions);
    answer.text = text::jinja::strip(answer.text, true, true);  // models begin with the space between prompt and answer
    return answer;
  }

  Prompter prompter_;
  VisionLanguage& vision_;
  std::shared_ptr<const ChatTemplate> chat_;
  GenerateOptions options_;
};

}  // namespace

std::unique_ptr<PictureAnswerer> picture_answerer(const Model& model, std::optional<int64_t> max_new_tokens) {
  if (!dynamic_cast<VisionLanguage*>(model.module.get()))
    model.refuse(kPurpose,
                 "name one that does with --model FOLDER: a published LLaVA, or what `tessera train "
                 "recipes/talk.json` makes");
  processor_of(model);
  if (dynamic_cast<Talker*>(model.module.get())) return std::make_unique<TalkerAnswerer>(model, max_new_tokens);
  return std::make_unique<VisionLanguageAnswerer>(model, max_new_tokens);
}

}  // namespace tessera

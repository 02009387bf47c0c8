#include "tasks/answer.h"

#include <algorithm>

#include "core/error.h"

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

Answerer::Answerer(Talker& talker, const Tokenizer& tokenizer)
    : talker_(talker), tokenizer_(tokenizer), format_(format_of(talker, tokenizer)) {}

/// Prompts with one picture each, padded left, so that all answers begin at one place.
TextBatch Answerer::batch(const std::vector<std::string>& questions) const {
  std::vector<std::vector<int64_t>> rows;
  size_t longest = 0;
  for (const auto& question : questions) {
    rows.push_back(format_.prompt(tokenizer_.encode(question, false).ids, true));
    longest = std::max(longest, rows.back().size());
  }
  if (const int64_t room = talker_.context() - longest_answer(); static_cast<int64_t>(longest) > room)
    throw Error(
        "takes " + std::to_string(longest) + " tokens with its picture, and the model reads " + std::to_string(room),
        "question", "ask a shorter one");
  const auto count = static_cast<int64_t>(rows.size()), length = static_cast<int64_t>(longest);
  TextBatch text;
  text.ids = torch::full({count, length}, format_.end, torch::kInt64);
  text.mask = torch::zeros({count, length}, torch::kBool);
  for (int64_t i = 0; i < count; ++i) {
    const auto& row = rows[static_cast<size_t>(i)];
    const auto size = static_cast<int64_t>(row.size());
    text.ids[i].narrow(0, length - size, size).copy_(torch::tensor(row, torch::kInt64));
    text.mask[i].narrow(0, length - size, size).fill_(true);
  }
  return text;
}

std::vector<Answer> Answerer::answer(const Tensor& pixels, const std::vector<std::string>& questions) {
  const torch::NoGradGuard no_gradient;
  MultimodalBatch asked;
  asked.pictures.pixel_values = pixels;
  asked.text = batch(questions);
  MultimodalPrompt prompt = talker_.begin(asked);
  const GenerateOptions options{
      .max_new_tokens = longest_answer(), .end_ids = {format_.end}, .log_probabilities = true};
  std::vector<Answer> answers;
  for (const Generated& made : decode(talker_, prompt, prompt.state, options)) {
    const auto end = std::find(made.ids.begin(), made.ids.end(), format_.end);
    const std::vector<int64_t> words(made.ids.begin(), end);
    Answer& answer = answers.emplace_back(Answer{tokenizer_.decode(words), 0});
    for (const double value : made.log_probabilities) answer.log_probability += value;
  }
  return answers;
}

}  // namespace tessera

#include "tasks/answer.h"

#include <algorithm>

#include "core/error.h"

namespace tessera {
namespace {

constexpr int64_t kLongest = 40;  // tokens of an answer

/// log p of each row's tokens up to and with its end: logits B x L x V of the tokens B x L.
Tensor log_probabilities(const Tensor& logits, const Tensor& tokens, int64_t end) {
  const Tensor chosen = logits.log_softmax(-1).gather(2, tokens.unsqueeze(2)).squeeze(2);  // B x L
  const Tensor ended = tokens.eq(end).to(torch::kInt64);
  const Tensor counts = (ended.cumsum(1) - ended).eq(0);  // the end itself counts
  return (chosen * counts).sum(1);
}

}  // namespace

TalkerFormat format_of(const Talker& talker, const Tokenizer& tokenizer) {
  const SpecialIds& special = tokenizer.special_ids();
  if (!special.bos || !special.eos)
    throw Error("has no tokens for the begin and the end of a text", "tokenizer", "a talker needs both");
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
  if (static_cast<int64_t>(longest) + 1 > talker_.context())
    throw Error("takes " + std::to_string(longest) + " tokens with its picture, and the model reads " +
                    std::to_string(talker_.context()),
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
  MultimodalBatch prompt;
  prompt.pictures.pixel_values = pixels;
  prompt.text = batch(questions);
  const int64_t room = talker_.context() - prompt.text.ids.size(1);
  const Tensor tokens = generate(
      talker_, prompt,
      {.max_new_tokens = std::min(kLongest, room), .end_ids = {format_.end}, .padding_id = format_.end});  // B x N
  MultimodalBatch whole = prompt;
  whole.text.ids = torch::cat({prompt.text.ids, tokens}, 1);
  whole.text.mask = torch::cat({prompt.text.mask, torch::ones_like(tokens, torch::kBool)}, 1);
  const Tensor logits = talker_.forward(whole).narrow(1, prompt.text.ids.size(1) - 1, tokens.size(1));
  const Tensor scores = log_probabilities(logits, tokens, format_.end);
  std::vector<Answer> answers;
  for (int64_t i = 0; i < tokens.size(0); ++i) {
    const Tensor row = tokens[i].contiguous();
    const auto* ids = row.data_ptr<int64_t>();
    const auto* stop = std::find(ids, ids + row.numel(), format_.end);
    answers.push_back({tokenizer_.decode({ids, static_cast<size_t>(stop - ids)}), scores[i].item<double>()});
  }
  return answers;
}

}  // namespace tessera

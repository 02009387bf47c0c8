#include <limits>

#include "decode/strategies.h"

namespace tessera {
namespace {

/// Row i of the continuations goes on with prompt i / count.
std::vector<int64_t> repeated(int64_t prompts, int64_t count) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < prompts * count; ++i) rows.push_back(i / count);
  return rows;
}

}  // namespace

std::vector<Generated> decode_by_token(const Task& task) {
  const GenerateOptions& o = task.options;
  const ProcessorChain chain = make_processors(o);
  Continuation model(task.model, task.state, task.prompt, o.max_new_tokens);
  const int64_t count = o.num_return_sequences;
  const std::vector<int64_t> prompt_of = repeated(model.rows(), count);
  if (count > 1) model.select(prompt_of);
  std::vector<Text> texts;
  std::vector<Random> random;
  for (int64_t row = 0; row < model.rows(); ++row) {
    const int64_t prompt = prompt_of[static_cast<size_t>(row)];
    texts.emplace_back(task, row, prompt);
    const uint64_t seed = task.seed(prompt), copy = static_cast<uint64_t>(row % count);
    random.emplace_back(copy == 0 ? seed : mix_seed(seed, copy));
    if (o.max_new_tokens == 0) texts.back().end(Finish::kLength);
  }
  std::vector<int64_t> ids(texts.size(), o.padding_id);
  std::vector<bool> ended(texts.size());
  while (true) {
    const bool stop = task.interrupted();
    bool all_ended = true;
    for (size_t row = 0; row < texts.size(); ++row) {
      Text& text = texts[row];
      if (!text.ended() && stop) text.end(Finish::kInterrupted);
      ended[row] = text.ended();
      ids[row] = o.padding_id;
      if (ended[row]) continue;
      const auto logits = model.logits(static_cast<int64_t>(row));
      const std::vector<float> scores = text.scores(logits, chain);
      ids[row] = o.do_sample ? draw(probabilities(scores), 1, random[row]) : likeliest(scores);
      text.push(ids[row],
                o.log_probabilities ? log_probability(logits, ids[row]) : std::numeric_limits<double>::quiet_NaN());
      all_ended = all_ended && text.ended();
    }
    if (all_ended) break;
    model.advance(ids, ended);
  }
  std::vector<Generated> results;
  for (Text& text : texts) results.push_back(std::move(text.result));
  return results;
}

}  // namespace tessera

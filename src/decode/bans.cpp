#include <algorithm>
#include <limits>

#include "decode/processors.h"

namespace tessera {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

void ban(std::span<float> scores, int64_t id) {
  if (id >= 0 && id < static_cast<int64_t>(scores.size())) scores[static_cast<size_t>(id)] = kNever;
}

/// No run of n tokens comes twice in a text (Paulus et al., 2018).
class NoRepeatNgram : public LogitsProcessor {
 public:
  explicit NoRepeatNgram(int64_t size) : size_(static_cast<size_t>(size)) {}
  void process(std::span<float> scores, const TextSoFar& text) const override {
    if (text.ids.size() + 1 < size_) return;
    const auto end = text.ids.last(size_ - 1);  // what the next token would complete
    for (size_t i = 0; i + size_ <= text.ids.size(); ++i)
      if (std::equal(end.begin(), end.end(), text.ids.begin() + static_cast<std::ptrdiff_t>(i)))
        ban(scores, text.ids[i + size_ - 1]);
  }

 private:
  size_t size_;
};

/// The last token of a forbidden sequence does not come behind the others.
class BadWords : public LogitsProcessor {
 public:
  explicit BadWords(std::vector<std::vector<int64_t>> words) : words_(std::move(words)) {}
  void process(std::span<float> scores, const TextSoFar& text) const override {
    for (const auto& word : words_) {
      const size_t before = word.size() - 1;
      if (text.ids.size() < before) continue;
      const auto end = text.ids.last(before);
      if (std::equal(end.begin(), end.end(), word.begin())) ban(scores, word.back());
    }
  }

 private:
  std::vector<std::vector<int64_t>> words_;
};

/// Tokens that do not come among the first `count` that are made.
class NotAmongFirst : public LogitsProcessor {
 public:
  NotAmongFirst(std::vector<int64_t> ids, size_t count) : ids_(std::move(ids)), count_(count) {}
  void process(std::span<float> scores, const TextSoFar& text) const override {
    if (text.made().size() >= count_) return;
    for (const int64_t id : ids_) ban(scores, id);
  }

 private:
  std::vector<int64_t> ids_;
  size_t count_;
};

/// At one place nothing else may come: behind a text of one token, or as the last of the new ones.
class Forced : public LogitsProcessor {
 public:
  Forced(int64_t id, size_t length, bool whole_text) : id_(id), length_(length), whole_(whole_text) {}
  void process(std::span<float> scores, const TextSoFar& text) const override {
    if ((whole_ ? text.ids : text.made()).size() != length_) return;
    std::fill(scores.begin(), scores.end(), kNever);
    if (id_ < static_cast<int64_t>(scores.size())) scores[static_cast<size_t>(id_)] = 0;
  }

 private:
  int64_t id_;
  size_t length_;
  bool whole_;
};

}  // namespace

void add_bans(ProcessorChain& chain, const GenerateOptions& o) {
  const auto first = [&](const std::vector<int64_t>& ids, size_t count) {
    if (!ids.empty() && count > 0) chain.add(std::make_unique<NotAmongFirst>(ids, count));
  };
  if (o.no_repeat_ngram_size > 0) chain.add(std::make_unique<NoRepeatNgram>(o.no_repeat_ngram_size));
  if (!o.bad_words_ids.empty()) chain.add(std::make_unique<BadWords>(o.bad_words_ids));
  first(o.end_ids, static_cast<size_t>(o.min_new_tokens));
  if (o.forced_bos_token_id >= 0) chain.add(std::make_unique<Forced>(o.forced_bos_token_id, 1, true));
  if (o.forced_eos_token_id >= 0)
    chain.add(std::make_unique<Forced>(o.forced_eos_token_id, static_cast<size_t>(o.max_new_tokens - 1), false));
  first(o.suppress_tokens, std::numeric_limits<size_t>::max());
  first(o.begin_suppress_tokens, 1);
}

}  // namespace tessera

#include "train/captions.h"

#include <algorithm>
#include <unordered_set>

#include "core/error.h"
#include "core/pad_texts.h"

namespace tessera {

Captions::Captions(const std::vector<Concept>& concepts, const CaptionOptions& options, const Tokenize& tokenize,
                   int64_t padding_id)
    : options_(options), padding_id_(padding_id) {
  const auto count = static_cast<int64_t>(options.languages.size());
  if (options.languages_per_step < 1 || options.languages_per_step > count)
    throw Error("must lie between 1 and the number of languages, " + std::to_string(count),
                "captions.languages_per_step");
  if (options.candidates < 1) throw Error("must be positive", "captions.candidates");
  if (options.context < 1) throw Error("must be positive", "captions.context");
  if (options.keyword < 0 || options.keyword > 1) throw Error("is a probability, from 0 to 1", "captions.keyword");
  for (const auto& item : concepts)
    if (!item.seen)
      throw Error("is held out and must never be trained on", item.id, "take its shard out of data.sources");
  for (const auto& [tag, weight] : options.languages) {
    Language language{tag, weight, std::vector<Entry>(concepts.size()), {}};
    for (size_t i = 0; i < concepts.size(); ++i) {
      const auto name = concepts[i].names.find(tag);
      if (name == concepts[i].names.end() || name->second.empty()) continue;
      language.entries[i].name = add_text(name->second, tokenize);
      language.named.push_back(static_cast<int64_t>(i));
      const auto words = concepts[i].keywords.find(tag);
      if (words == concepts[i].keywords.end()) continue;
      for (const auto& word : words->second) language.entries[i].keywords.push_back(add_text(word, tokenize));
    }
    if (weight <= 0) throw Error("must be positive", "captions.languages." + tag);
    if (language.named.empty()) throw Error("no picture has a name in this language", "captions.languages." + tag);
    languages_.push_back(std::move(language));
  }
}

int64_t Captions::add_text(const std::string& text, const Tokenize& tokenize) {
  const auto [at, fresh] = by_text_.try_emplace(text, static_cast<int64_t>(tokens_.size()));
  if (!fresh) return at->second;
  std::vector<int64_t> ids = tokenize(text);
  if (ids.empty()) throw Error("the tokenizer makes no token of it", text);
  if (static_cast<int64_t>(ids.size()) > options_.context) {
    ids[static_cast<size_t>(options_.context) - 1] = ids.back();  // the token that ends a text stays at its end
    ids.resize(static_cast<size_t>(options_.context));
  }
  tokens_.push_back(std::move(ids));
  return at->second;
}

std::vector<size_t> Captions::draw_languages(Random& random) const {
  std::vector<size_t> drawn;
  std::vector<double> weights;
  for (const auto& language : languages_) weights.push_back(language.weight);
  for (int64_t i = 0; i < options_.languages_per_step; ++i) {
    double at = random.uniform(0, std::accumulate(weights.begin(), weights.end(), 0.0));
    size_t pick = 0;
    while (pick + 1 < weights.size() && (weights[pick] <= 0 || at >= weights[pick])) at -= weights[pick++];
    while (weights[pick] <= 0) --pick;  // rounding may have led past the last that is left
    drawn.push_back(pick);
    weights[pick] = 0;  // without replacement
  }
  return drawn;
}

std::vector<Captions::Drawn> Captions::draw_texts(const Language& language, const std::vector<int64_t>& pictures,
                                                  Random& random) const {
  std::vector<Drawn> drawn;
  std::unordered_set<int64_t> taken;
  auto take = [&](int64_t index) {
    const Entry& entry = language.entries[static_cast<size_t>(index)];
    if (entry.name < 0 || !taken.insert(index).second) return;
    const bool keyword = random.chance(options_.keyword) && !entry.keywords.empty();
    drawn.push_back({keyword ? entry.keywords[random.below(entry.keywords.size())] : entry.name, index, keyword});
  };
  for (const int64_t picture : pictures) take(picture);
  const auto wanted = std::min(static_cast<size_t>(options_.candidates), language.named.size());
  while (drawn.size() < wanted) take(language.named[random.below(language.named.size())]);
  return drawn;
}

int8_t Captions::relation(const Language& language, int64_t picture, const Drawn& drawn) const {
  const Entry& entry = language.entries[static_cast<size_t>(picture)];
  if (picture == drawn.concept_index) return 1;
  if (entry.name < 0) return -1;
  if (entry.name == drawn.text) return drawn.keyword ? -1 : 1;
  if (!drawn.keyword) return 0;
  const auto& words = entry.keywords;
  return std::find(words.begin(), words.end(), drawn.text) != words.end() ? -1 : 0;
}

Candidates Captions::draw(const std::vector<int64_t>& pictures, Random& random) const {
  Candidates result;
  std::vector<Drawn> drawn;
  std::vector<const Language*> spoken;  // per text
  for (const size_t index : draw_languages(random)) {
    result.begins.push_back(static_cast<int64_t>(drawn.size()));
    for (const auto& text : draw_texts(languages_[index], pictures, random)) drawn.push_back(text);
    spoken.resize(drawn.size(), &languages_[index]);
  }
  const auto texts = static_cast<int64_t>(drawn.size()), images = static_cast<int64_t>(pictures.size());
  result.begins.push_back(texts);
  result.match = torch::empty({images, texts}, torch::kInt8);
  result.concepts = torch::empty({texts}, torch::kInt64);
  std::vector<std::span<const int64_t>> rows;
  for (int64_t j = 0; j < texts; ++j) {
    const Drawn& text = drawn[static_cast<size_t>(j)];
    rows.push_back(tokens_[static_cast<size_t>(text.text)]);
    result.concepts.data_ptr<int64_t>()[j] = text.keyword ? -1 : text.concept_index;
    for (int64_t i = 0; i < images; ++i)
      result.match.data_ptr<int8_t>()[i * texts + j] =
          relation(*spoken[static_cast<size_t>(j)], pictures[static_cast<size_t>(i)], text);
  }
  result.texts = pad_texts(rows, {.id = padding_id_});
  return result;
}

}  // namespace tessera

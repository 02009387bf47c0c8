#include "text/added_tokens.h"

#include "text/characters.h"

namespace tessera::text {
namespace {

struct Match {
  size_t begin, end;
  int64_t id;
};

// The longest token at the leftmost place from `from` on.
std::optional<Match> search(const Trie& trie, std::string_view text, size_t from) {
  for (size_t begin = from; begin < text.size(); ++begin) {
    std::optional<Match> found;
    trie.prefixes(text.substr(begin), [&](size_t length, int32_t id) { found = Match{begin, begin + length, id}; });
    if (found) return found;
  }
  return std::nullopt;
}

bool touches_word(std::string_view text, const Match& match) {
  if (match.begin > 0) {
    size_t at = previous_char(text, match.begin);
    if (is_word(next_char(text, at))) return true;
  }
  size_t after = match.end;
  return after < text.size() && is_word(next_char(text, after));
}

size_t skip_space_left(std::string_view text, size_t at, size_t limit) {
  while (at > limit) {
    const size_t begin = previous_char(text, at);
    size_t end = begin;
    if (!is_whitespace(next_char(text, end))) break;
    at = begin;
  }
  return at;
}

size_t skip_space_right(std::string_view text, size_t at) {
  while (at < text.size()) {
    size_t next = at;
    if (!is_whitespace(next_char(text, next))) break;
    at = next;
  }
  return at;
}

}  // namespace

void AddedTokens::add(AddedToken token) {
  if (token.content.empty()) return;
  if (token.special) special_.insert(token.content);
  ids_[token.content] = token.id;
  tokens_[token.id] = std::move(token);
}

void AddedTokens::finish(const Normalizer* normalizer) {
  std::vector<std::pair<std::string_view, int32_t>> raw, normalized;
  patterns_.clear();
  patterns_.reserve(tokens_.size());  // the keys point into it
  for (const auto& [id, token] : tokens_) {
    AlignedText pattern = AlignedText::from(token.content);
    if (token.normalized && normalizer) normalizer->normalize(pattern);
    patterns_.push_back(pattern.text);
    (token.normalized ? normalized : raw).emplace_back(patterns_.back(), static_cast<int32_t>(id));
  }
  raw_ = Trie(std::move(raw));
  normalized_ = Trie(std::move(normalized));
}

void AddedTokens::cut(AlignedText text, const Trie& trie, std::vector<Segment>& segments) const {
  if (trie.empty()) {
    if (!text.empty()) segments.push_back({std::move(text), std::nullopt});
    return;
  }
  const std::string_view all = text.text;
  size_t done = 0;
  for (auto match = search(trie, all, 0); match; match = search(trie, all, std::max(match->end, done))) {
    const AddedToken& token = tokens_.at(match->id);
    if (token.single_word && touches_word(all, *match)) continue;
    const size_t begin = token.lstrip ? skip_space_left(all, match->begin, done) : match->begin;
    const size_t end = token.rstrip ? skip_space_right(all, match->end) : match->end;
    if (done < begin) segments.push_back({text.slice(done, begin), std::nullopt});
    segments.push_back({text.slice(begin, end), match->id});
    done = end;
  }
  if (done == 0) {
    if (!text.empty()) segments.push_back({std::move(text), std::nullopt});
  } else if (done < all.size()) {
    segments.push_back({text.slice(done, all.size()), std::nullopt});
  }
}

std::vector<AddedTokens::Segment> AddedTokens::split(AlignedText text, const Normalizer* normalizer) const {
  std::vector<Segment> raw, segments;
  cut(std::move(text), raw_, raw);
  for (Segment& segment : raw) {
    if (segment.id) {
      segments.push_back(std::move(segment));
    } else {
      if (normalizer) normalizer->normalize(segment.text);
      cut(std::move(segment.text), normalized_, segments);
    }
  }
  return segments;
}

std::optional<int64_t> AddedTokens::find(std::string_view content) const {
  const auto found = ids_.find(content);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> AddedTokens::token(int64_t id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? std::nullopt : std::optional(found->second.content);
}

}  // namespace tessera::text

#include <algorithm>
#include <limits>

#include "text/sentencepiece_stages.h"

namespace tessera::text {
namespace {

constexpr float kUnknownPenalty = 10.0F;

struct Node {  // the best way to spell everything before a position
  float score = 0;
  int32_t id = -1;
  size_t begin = std::numeric_limits<size_t>::max();
};

}  // namespace

// Scores are single precision, as in the library: equal sums decide between equal spellings.
std::vector<Spelled> spell_unigram(const SentencePieces& pieces, std::string_view text) {
  std::vector<Node> nodes(text.size() + 1);
  for (size_t begin = 0; begin < text.size();) {
    size_t next = begin;
    next_char(text, next);
    const float before = nodes[begin].score;
    bool single = false;
    const auto offer = [&](size_t end, float score, int32_t id) {
      if (nodes[end].id < 0 || score > nodes[end].score) nodes[end] = {score, id, begin};
    };
    pieces.spellings().prefixes(text.substr(begin), [&](size_t length, int32_t id) {
      if (pieces.is(id, SentencePieceProto::Unused)) return;
      // A symbol of the user beats every other way to spell its text.
      const bool user = pieces.is(id, SentencePieceProto::UserDefined);
      const float score =
          user ? static_cast<float>(static_cast<double>(length) * pieces.most_score() - 0.1) : pieces.at(id).score;
      offer(begin + length, before + score, id);
      single = single || begin + length == next;
    });
    if (!single) offer(next, before + pieces.least_score() - kUnknownPenalty, pieces.unknown());
    begin = next;
  }
  std::vector<Spelled> path;
  for (size_t end = text.size(); end > 0; end = nodes[end].begin)
    path.push_back({nodes[end].begin, end, nodes[end].id});
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace tessera::text

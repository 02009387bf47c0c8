#include <queue>
#include <unordered_map>

#include "text/sentencepiece_stages.h"

namespace tessera::text {
namespace {

struct Symbol {
  size_t begin, end;
  int previous, next;
  bool frozen;  // a symbol of the user, which no merge touches
};

struct Candidate {
  float score;
  int left;
  size_t begin, end;  // what the merged piece would cover
  bool operator<(const Candidate& other) const {
    return score != other.score ? score < other.score : left > other.left;
  }
};

// Here the merge with the best score comes first; there is no list of merges.
class Merger {
 public:
  Merger(const SentencePieces& pieces, std::string_view text) : pieces_(pieces), text_(text) {
    for (size_t i = 0; i < text.size();) {
      const size_t begin = i, user = pieces.user_defined_prefix(text.substr(i));
      if (user > 0) {
        i += user;
      } else {
        next_char(text, i);
      }
      const int at = static_cast<int>(symbols_.size());
      symbols_.push_back({begin, i, at - 1, i < text.size() ? at + 1 : -1, user > 0});
    }
  }

  std::vector<Spelled> run() {
    for (int left = 0; left + 1 < static_cast<int>(symbols_.size()); ++left) offer(left);
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      merge(top);
    }
    std::vector<Spelled> out;
    for (const Symbol& symbol : symbols_) {
      if (symbol.begin < symbol.end) emit(symbol.begin, symbol.end, out);
    }
    return out;
  }

 private:
  Symbol& at(int index) { return symbols_[static_cast<size_t>(index)]; }
  std::string_view covered(size_t begin, size_t end) const { return text_.substr(begin, end - begin); }

  void offer(int left) {
    if (left < 0 || at(left).next < 0) return;
    const Symbol &first = at(left), &second = at(first.next);
    if (first.frozen || second.frozen) return;
    const auto id = pieces_.find_spelling(covered(first.begin, second.end));
    if (!id) return;
    queue_.push({pieces_.at(*id).score, left, first.begin, second.end});
    // A piece that may not be used is taken apart again in the end.
    if (pieces_.is(*id, SentencePieceProto::Unused))
      halves_[covered(first.begin, second.end)] = first.end - first.begin;
  }

  void merge(const Candidate& top) {
    Symbol& left = at(top.left);
    if (left.begin == left.end || left.next < 0) return;
    Symbol& right = at(left.next);
    if (left.begin != top.begin || right.end != top.end) return;  // an older neighbour
    left.end = right.end;
    left.next = right.next;
    right.begin = right.end;
    if (left.next >= 0) at(left.next).previous = top.left;
    offer(left.previous);
    offer(top.left);
  }

  void emit(size_t begin, size_t end, std::vector<Spelled>& out) const {
    const auto id = pieces_.find_spelling(covered(begin, end));
    const auto half = halves_.find(covered(begin, end));
    if (id && pieces_.is(*id, SentencePieceProto::Unused) && half != halves_.end()) {
      emit(begin, begin + half->second, out);
      emit(begin + half->second, end, out);
    } else {
      out.push_back({begin, end, id.value_or(pieces_.unknown())});
    }
  }

  const SentencePieces& pieces_;
  std::string_view text_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> queue_;
  std::unordered_map<std::string_view, size_t> halves_;  // of unused pieces: the length of the first half
};

}  // namespace

std::vector<Spelled> spell_bpe(const SentencePieces& pieces, std::string_view text) {
  return Merger(pieces, text).run();
}

}  // namespace tessera::text

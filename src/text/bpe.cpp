#include <queue>

#include "core/error.h"
#include "text/parts.h"
#include "text/vocabulary.h"
#include "text/word_cache.h"

// "Neural Machine Translation of Rare Words with Subword Units" (Sennrich et al., 2016): a word begins as characters;
// the neighbours that were merged first in training are merged first, until no merge is left.
namespace tessera::text {
namespace {

struct Symbol {
  int64_t id;
  size_t begin, end;  // bytes of the word; an empty stretch has been merged away
  int previous, next;
};

struct Candidate {
  int32_t rank;
  int position;
  int64_t merged;
  // The queue has its largest element on top: the lowest rank, and of these the leftmost.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

struct Merge {
  int32_t rank;
  int64_t merged;
};

struct Part {
  int64_t id;
  size_t begin, end;
};

std::string byte_token(unsigned char byte) {
  constexpr char kHex[] = "0123456789ABCDEF";
  return std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">";
}

class Bpe : public Model {
 public:
  explicit Bpe(const JsonNode& node)
      : vocabulary_(Vocabulary::from(node.at("vocab"))),
        prefix_(node.string("continuing_subword_prefix", "")),
        suffix_(node.string("end_of_word_suffix", "")),
        fuse_unknown_(node.boolean("fuse_unk", false)),
        byte_fallback_(node.boolean("byte_fallback", false)),
        whole_words_(node.boolean("ignore_merges", false)) {
    if (node.has("dropout") && node.at("dropout").number() > 0) {
      node.at("dropout").fail("dropout makes every encoding random", "set it to null");
    }
    if (node.has("unk_token")) {
      unknown_ = vocabulary_.find(node.at("unk_token").string());
      unknown_missing_ = !unknown_;
    }
    if (byte_fallback_) find_bytes();
    read_merges(node.at("merges"));
  }

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    if (word.empty()) return;
    if (whole_words_) {
      if (const auto id = vocabulary_.find(word)) {
        tokens.push_back({*id, std::string(word), 0, word.size()});
        return;
      }
    }
    const bool cached = word.size() <= decltype(cache_)::kMaxWord;
    if (cached) {
      if (const auto known = cache_.find(word)) return append(*known, tokens);
    }
    const std::vector<Part> parts = merge(split(word));
    append(parts, tokens);
    if (cached) cache_.add(word, parts);
  }

  std::optional<int64_t> token_to_id(std::string_view token) const override { return vocabulary_.find(token); }
  std::optional<std::string> id_to_token(int64_t id) const override { return vocabulary_.token(id); }
  int64_t vocab_size() const override { return vocabulary_.size(); }

 private:
  static uint64_t pair_key(int64_t left, int64_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint64_t>(right);
  }

  void find_bytes() {
    for (int byte = 0; byte < 256; ++byte) {
      bytes_.push_back(vocabulary_.find(byte_token(static_cast<unsigned char>(byte))));
    }
  }

  // A merge is "a b" or ["a", "b"]; its rank is its place in the list.
  void read_merges(const JsonNode& node) {
    merges_.reserve(node.size());
    for (size_t i = 0; i < node.size(); ++i) {
      const auto& entry = node.value()[i];
      if (entry.is_string()) {
        const std::string& text = entry.get_ref<const std::string&>();
        const size_t space = text.find(' ');
        if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
          node.at(i).fail("a merge must be two tokens with one space between, not '" + text + "'");
        }
        add_merge(node, i, text.substr(0, space), text.substr(space + 1));
      } else if (entry.is_array() && entry.size() == 2) {
        add_merge(node, i, node.at(i).at(size_t{0}).string(), node.at(i).at(1).string());
      } else {
        node.at(i).fail("a merge must be two tokens");
      }
    }
  }

  void add_merge(const JsonNode& node, size_t rank, const std::string& left, const std::string& right) {
    const auto find = [&](const std::string& token) {
      const auto id = vocabulary_.find(token);
      if (!id) node.at(rank).fail("token '" + token + "' of the merge is not in the vocabulary");
      return *id;
    };
    // The second half loses the mark of a continued word.
    const std::string tail = right.size() >= prefix_.size() ? right.substr(prefix_.size()) : right;
    const int64_t first = find(left), second = find(right);
    merges_[pair_key(first, second)] = {static_cast<int32_t>(rank), find(left + tail)};
  }

  // The characters of the word as symbols. What is not in the vocabulary becomes bytes, or the unknown token, or, where
  // there is none, nothing.
  std::vector<Symbol> split(std::string_view word) const {
    std::vector<Symbol> symbols;
    std::optional<Symbol> unknown;  // waits for more unknown characters to fuse with
    const auto flush = [&] {
      if (unknown) symbols.push_back(*unknown);
      unknown.reset();
    };
    for (size_t i = 0; i < word.size();) {
      const size_t begin = i;
      next_char(word, i);
      std::string text(word.substr(begin, i - begin));
      if (begin > 0) text.insert(0, prefix_);
      if (i == word.size()) text += suffix_;
      if (const auto id = vocabulary_.find(text)) {
        flush();
        symbols.push_back({*id, begin, i, -1, -1});
      } else if (!push_bytes(text, begin, i, symbols)) {
        if (unknown && !fuse_unknown_) flush();
        if (unknown) {
          unknown->end = i;
        } else if (unknown_) {
          unknown = Symbol{*unknown_, begin, i, -1, -1};
        } else if (unknown_missing_) {
          throw Error("a character is not in the vocabulary, and neither is the unk_token", "tokenizer: model");
        }
      }
    }
    flush();
    for (size_t k = 0; k < symbols.size(); ++k) {
      symbols[k].previous = static_cast<int>(k) - 1;
      symbols[k].next = k + 1 < symbols.size() ? static_cast<int>(k) + 1 : -1;
    }
    return symbols;
  }

  bool push_bytes(const std::string& text, size_t begin, size_t end, std::vector<Symbol>& symbols) const {
    if (!byte_fallback_) return false;
    for (const char c : text) {
      if (!bytes_[static_cast<unsigned char>(c)]) return false;
    }
    for (const char c : text) symbols.push_back({*bytes_[static_cast<unsigned char>(c)], begin, end, -1, -1});
    return true;
  }

  std::vector<Part> merge(std::vector<Symbol> symbols) const {
    std::priority_queue<Candidate> queue;
    const auto offer = [&](int left) {
      if (left < 0 || symbols[static_cast<size_t>(left)].next < 0) return;
      const Symbol& symbol = symbols[static_cast<size_t>(left)];
      const auto found = merges_.find(pair_key(symbol.id, symbols[static_cast<size_t>(symbol.next)].id));
      if (found != merges_.end()) queue.push({found->second.rank, left, found->second.merged});
    };
    std::vector<bool> gone(symbols.size(), false);
    for (size_t k = 0; k + 1 < symbols.size(); ++k) offer(static_cast<int>(k));
    while (!queue.empty()) {
      const Candidate top = queue.top();
      queue.pop();
      Symbol& left = symbols[static_cast<size_t>(top.position)];
      if (gone[static_cast<size_t>(top.position)] || left.next < 0) continue;
      const auto right_index = static_cast<size_t>(left.next);
      const Symbol& right = symbols[right_index];
      const auto found = merges_.find(pair_key(left.id, right.id));
      if (found == merges_.end() || found->second.merged != top.merged) continue;  // an older neighbour
      left.id = top.merged;
      left.end = right.end;
      left.next = right.next;
      gone[right_index] = true;
      if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = top.position;
      offer(left.previous);
      offer(top.position);
    }
    std::vector<Part> parts;
    for (size_t k = 0; k < symbols.size(); ++k) {
      if (!gone[k]) parts.push_back({symbols[k].id, symbols[k].begin, symbols[k].end});
    }
    return parts;
  }

  void append(const std::vector<Part>& parts, std::vector<Token>& tokens) const {
    for (const Part& part : parts) tokens.push_back({part.id, *vocabulary_.token(part.id), part.begin, part.end});
  }

  Vocabulary vocabulary_;
  std::string prefix_, suffix_;
  bool fuse_unknown_, byte_fallback_, whole_words_;
  std::optional<int64_t> unknown_;
  bool unknown_missing_ = false;
  std::vector<std::optional<int64_t>> bytes_;
  std::unordered_map<uint64_t, Merge> merges_;
  WordCache<std::vector<Part>> cache_;
};

}  // namespace

std::unique_ptr<Model> make_bpe(const JsonNode& node) { return std::make_unique<Bpe>(node); }

}  // namespace tessera::text

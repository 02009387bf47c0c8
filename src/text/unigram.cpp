#include <algorithm>
#include <limits>

#include "core/error.h"
#include "text/parts.h"
#include "text/trie.h"
#include "text/vocabulary.h"

// "Subword Regularization" (Kudo, 2018): tokens have log-probabilities; the best way to spell a text is found by
// dynamic programming over its positions (Viterbi).
namespace tessera::text {
namespace {

constexpr double kUnknownPenalty = 10.0;  // below the least likely token

class Unigram : public Model {
 public:
  explicit Unigram(const JsonNode& node) : byte_fallback_(node.boolean("byte_fallback", false)) {
    read_vocabulary(node.at("vocab"));
    if (node.has("unk_id")) {
      unknown_ = node.at("unk_id").integer();
      if (*unknown_ < 0 || *unknown_ >= vocabulary_.size()) node.at("unk_id").fail("not in the vocabulary");
    }
    if (!byte_fallback_) return;
    for (int byte = 0; byte < 256; ++byte) {
      constexpr char kHex[] = "0123456789ABCDEF";
      bytes_.push_back(vocabulary_.find(std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">"));
    }
  }

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    for (const auto& [begin, end] : best_path(word)) push(word.substr(begin, end - begin), begin, tokens);
  }

  std::optional<int64_t> token_to_id(std::string_view token) const override { return vocabulary_.find(token); }
  std::optional<std::string> id_to_token(int64_t id) const override { return vocabulary_.token(id); }
  int64_t vocab_size() const override { return vocabulary_.size(); }

 private:
  static constexpr size_t kNowhere = std::numeric_limits<size_t>::max();
  struct Node {  // the best way to spell everything before a position: where its last token begins
    double score = 0;
    size_t begin = kNowhere;
    bool unknown = false;
  };
  using Stretch = std::pair<size_t, size_t>;

  void read_vocabulary(const JsonNode& node) {
    std::vector<std::pair<std::string_view, int32_t>> keys;
    for (size_t id = 0; id < node.size(); ++id) {
      const auto& entry = node.value()[id];
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
        node.at(id).fail("expected [token, score]");
      }
      const auto& token = entry[0].get_ref<const std::string&>();
      vocabulary_.add(token, static_cast<int64_t>(id));
      scores_.push_back(entry[1].get<double>());
      keys.emplace_back(token, static_cast<int32_t>(id));
    }
    trie_ = Trie(std::move(keys));
    const double least = scores_.empty() ? 0 : *std::min_element(scores_.begin(), scores_.end());
    unknown_score_ = least - kUnknownPenalty;
  }

  std::vector<Stretch> best_path(std::string_view text) const {
    std::vector<Node> nodes(text.size() + 1);
    for (size_t begin = 0; begin < text.size();) {
      size_t next = begin;
      next_char(text, next);
      const double before = nodes[begin].score;
      bool single = false;  // whether the character itself is a token
      const auto offer = [&](size_t end, double score, bool unknown) {
        if (nodes[end].begin == kNowhere || score > nodes[end].score) nodes[end] = {score, begin, unknown};
      };
      trie_.prefixes(text.substr(begin), [&](size_t length, int32_t id) {
        offer(begin + length, before + scores_[static_cast<size_t>(id)], id == unknown_);
        single = single || begin + length == next;
      });
      if (!single) {
        if (!unknown_) throw Error("a character is not in the vocabulary, and there is no unk_id", "tokenizer: model");
        offer(next, before + unknown_score_, true);
      }
      begin = next;
    }
    return backtrack(nodes);
  }

  // Neighbouring unknown stretches become one.
  std::vector<Stretch> backtrack(const std::vector<Node>& nodes) const {
    std::vector<Stretch> path;
    bool fuse = false;
    for (size_t end = nodes.size() - 1; end > 0; end = nodes[end].begin) {
      const Node& node = nodes[end];
      if (fuse && node.unknown) {
        path.back().first = node.begin;
      } else {
        path.emplace_back(node.begin, end);
      }
      fuse = node.unknown;
    }
    std::reverse(path.begin(), path.end());
    return path;
  }

  void push(std::string_view text, size_t begin, std::vector<Token>& tokens) const {
    const size_t end = begin + text.size();
    if (const auto id = vocabulary_.find(text)) {
      tokens.push_back({*id, std::string(text), begin, end});
    } else if (byte_fallback_ &&
               std::all_of(text.begin(), text.end(), [&](char c) { return byte_id(c).has_value(); })) {
      for (const char c : text) tokens.push_back({*byte_id(c), *vocabulary_.token(*byte_id(c)), begin, end});
    } else {
      tokens.push_back({unknown_.value_or(0), std::string(text), begin, end});
    }
  }

  const std::optional<int64_t>& byte_id(char c) const { return bytes_[static_cast<unsigned char>(c)]; }

  Vocabulary vocabulary_;
  std::vector<double> scores_;
  Trie trie_;
  std::optional<int64_t> unknown_;
  double unknown_score_ = 0;
  bool byte_fallback_;
  std::vector<std::optional<int64_t>> bytes_;
};

}  // namespace

std::unique_ptr<Model> make_unigram(const JsonNode& node) { return std::make_unique<Unigram>(node); }

}  // namespace tessera::text

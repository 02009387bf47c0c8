#include "core/error.h"
#include "text/parts.h"
#include "text/vocabulary.h"

namespace tessera::text {
namespace {

// A word is a token, or unknown.
class WordLevel : public Model {
 public:
  explicit WordLevel(const JsonNode& node)
      : vocabulary_(Vocabulary::from(node.at("vocab"))), unknown_(node.string("unk_token", "<unk>")) {}

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    if (const auto id = vocabulary_.find(word)) {
      tokens.push_back({*id, std::string(word), 0, word.size()});
    } else if (const auto unknown = vocabulary_.find(unknown_)) {
      tokens.push_back({*unknown, unknown_, 0, word.size()});
    } else {
      throw Error(
          "word '" + std::string(word) + "' is unknown, and the unk_token '" + unknown_ + "' is not in the vocabulary",
          "tokenizer");
    }
  }

  std::optional<int64_t> token_to_id(std::string_view token) const override { return vocabulary_.find(token); }
  std::optional<std::string> id_to_token(int64_t id) const override { return vocabulary_.token(id); }
  int64_t vocab_size() const override { return vocabulary_.size(); }

 private:
  Vocabulary vocabulary_;
  std::string unknown_;
};

}  // namespace

std::unique_ptr<Model> make_wordlevel(const JsonNode& node) { return std::make_unique<WordLevel>(node); }

std::unique_ptr<Model> make_model(const JsonNode& node) {
  // Files older than the "type" key tell their model by its fields.
  if (!node.has("type")) {
    if (node.has("merges")) return make_bpe(node);
    if (node.has("vocab") && node.at("vocab").value().is_array()) return make_unigram(node);
    return make_wordpiece(node);
  }
  const std::string type = node.type();
  if (type == "BPE") return make_bpe(node);
  if (type == "WordPiece") return make_wordpiece(node);
  if (type == "WordLevel") return make_wordlevel(node);
  if (type == "Unigram") return make_unigram(node);
  node.unknown("model");
}

}  // namespace tessera::text

#include "core/error.h"
#include "text/parts.h"
#include "text/vocabulary.h"

namespace tessera::text {
namespace {

// The longest token that the word begins with, then the longest that the rest begins with, and so on; a word that
// cannot be spelled so is unknown as a whole.
class WordPiece : public Model {
 public:
  explicit WordPiece(const JsonNode& node)
      : vocabulary_(Vocabulary::from(node.at("vocab"))),
        unknown_(node.string("unk_token", "[UNK]")),
        prefix_(node.string("continuing_subword_prefix", "##")),
        max_chars_(node.integer("max_input_chars_per_word", 100)) {}

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    const size_t before = tokens.size();
    if (static_cast<int64_t>(count_chars(word)) <= max_chars_ && spell(word, tokens)) return;
    tokens.resize(before);
    const auto id = vocabulary_.find(unknown_);
    if (!id)
      throw Error("a word is unknown, and the unk_token '" + unknown_ + "' is not in the vocabulary", "tokenizer");
    tokens.push_back({*id, unknown_, 0, word.size()});
  }

  std::optional<int64_t> token_to_id(std::string_view token) const override { return vocabulary_.find(token); }
  std::optional<std::string> id_to_token(int64_t id) const override { return vocabulary_.token(id); }
  int64_t vocab_size() const override { return vocabulary_.size(); }

 private:
  bool spell(std::string_view word, std::vector<Token>& tokens) const {
    for (size_t begin = 0; begin < word.size();) {
      size_t end = word.size();
      std::optional<int64_t> id;
      std::string token;
      for (; end > begin; end = previous_char(word, end)) {
        token = begin > 0 ? prefix_ : "";
        token += word.substr(begin, end - begin);
        if ((id = vocabulary_.find(token))) break;
      }
      if (!id) return false;
      tokens.push_back({*id, std::move(token), begin, end});
      begin = end;
    }
    return true;
  }

  Vocabulary vocabulary_;
  std::string unknown_, prefix_;
  int64_t max_chars_;
};

}  // namespace

std::unique_ptr<Model> make_wordpiece(const JsonNode& node) { return std::make_unique<WordPiece>(node); }

}  // namespace tessera::text

#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/aligned_text.h"
#include "text/json_node.h"
#include "text/tokenizer.h"

/// The five stages of a tokenizer, named as in the tokenizer.json format. Each has one factory that makes a stage from
/// its JSON and throws Error naming the type and its place where it does not know it.
namespace tessera::text {

/// Text to text: case, accents, Unicode forms.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void normalize(AlignedText& text) const = 0;
};
std::unique_ptr<Normalizer> make_normalizer(const JsonNode& node);
std::unique_ptr<Normalizer> make_unicode_normalizer(const JsonNode& node);  ///< null where it is none of them
std::unique_ptr<Normalizer> make_bert_normalizer(const JsonNode& node);
std::unique_ptr<Normalizer> make_precompiled_normalizer(const JsonNode& node);

/// Cuts texts into words. Tokens never cross a word.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void split(std::vector<AlignedText>& words) const = 0;
};
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonNode& node);

/// A token of a word; `begin` and `end` are bytes of that word.
struct Token {
  int64_t id;
  std::string text;
  size_t begin, end;
};

/// A word to tokens.
class Model {
 public:
  virtual ~Model() = default;
  virtual void tokenize(std::string_view word, std::vector<Token>& tokens) const = 0;
  virtual std::optional<int64_t> token_to_id(std::string_view token) const = 0;
  virtual std::optional<std::string> id_to_token(int64_t id) const = 0;
  virtual int64_t vocab_size() const = 0;  ///< highest id plus one
};
std::unique_ptr<Model> make_model(const JsonNode& node);
std::unique_ptr<Model> make_bpe(const JsonNode& node);
std::unique_ptr<Model> make_wordpiece(const JsonNode& node);
std::unique_ptr<Model> make_wordlevel(const JsonNode& node);
std::unique_ptr<Model> make_unigram(const JsonNode& node);

/// Adds special tokens around one or two encoded texts. It changes `parts` in place; they are joined afterwards.
class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  virtual int64_t added(bool pair) const = 0;  ///< how many tokens it adds
  virtual void process(std::vector<Encoding>& parts, bool add_special) const = 0;
};
std::unique_ptr<PostProcessor> make_post_processor(const JsonNode& node);

/// Tokens to text: the texts that it returns are joined.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual std::vector<std::string> decode(std::vector<std::string> tokens) const = 0;
  /// The bytes that a token stands for in the middle of a text, which may be part of a character.
  /// @throws Error where that depends on its neighbours
  virtual std::string bytes(std::string token) const = 0;
};
std::unique_ptr<Decoder> make_decoder(const JsonNode& node);

// The alphabet of byte-level tokenizers (GPT-2): one printable character for each byte.
char32_t byte_to_char(unsigned char byte);
std::optional<unsigned char> char_to_byte(char32_t c);
/// Every byte of the text as its printable character.
void to_byte_level(AlignedText& text);

}  // namespace tessera::text

#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tessera {

/// A stretch of the original text, as byte positions; `end` is exclusive.
struct TextSpan {
  int64_t begin = 0, end = 0;
  bool operator==(const TextSpan&) const = default;
};

/// What a text (or a pair of texts) became. All vectors have the same length, one entry per token.
struct Encoding {
  std::vector<int64_t> ids;
  std::vector<int64_t> type_ids;        ///< which text of a pair, as the model family counts them
  std::vector<int64_t> attention_mask;  ///< 0 for padding
  std::vector<std::string> tokens;
  std::vector<TextSpan> offsets;  ///< bytes of the original text; {0, 0} for tokens that were added
  std::vector<bool> special;      ///< true for tokens that the template or the padding added

  size_t size() const { return ids.size(); }
};

enum class TruncationStrategy { LongestFirst, OnlyFirst, OnlySecond };

/// How a text that is too long is shortened.
struct Truncation {
  int64_t max_length = 512;  ///< tokens, with those that the template adds
  TruncationStrategy strategy = TruncationStrategy::LongestFirst;
  bool left = false;  ///< drop the beginning instead of the end
};

/// How a text that is too short is filled.
struct Padding {
  int64_t length = 0;       ///< tokens; 0: as long as the longest text of the batch
  int64_t multiple_of = 0;  ///< round the length up to a multiple of this; 0: as it is
  int64_t id = 0;
  int64_t type_id = 0;
  std::string token = "[PAD]";
  bool left = false;  ///< put the padding before the text
};

struct BatchOptions {
  bool add_special = true;
  std::optional<Truncation> truncation;  ///< none: texts keep their length
  std::optional<Padding> padding;        ///< none: to the longest, with the tokenizer's own padding token
};

/// Texts as the rows of B x L matrices, row-major.
struct TokenBatch {
  int64_t rows = 0, length = 0;
  std::vector<int64_t> ids, type_ids, attention_mask;  ///< B x L each
  std::vector<Encoding> encodings;                     ///< the rows with tokens and offsets
};

/// The ids that play a role beyond their text, where the tokenizer has them.
struct SpecialIds {
  std::optional<int64_t> bos, eos, unk, pad, sep, cls, mask;
  std::vector<int64_t> all;  ///< every id that `decode` skips, ascending
};

struct TokenizerParts;

/// Text to token ids and back, equal to the Hugging Face `tokenizers` library and to SentencePiece.
///
/// A `Tokenizer` is a handle to parts that never change: copies are cheap, and every call may run in several threads at
/// once. Text is UTF-8. Bytes that are not are read as U+FFFD (one for each maximal ill-formed piece, as Rust and
/// browsers do); offsets still refer to the bytes that were given.
class Tokenizer {
 public:
  explicit Tokenizer(std::shared_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}

  /// The whole text, neither truncated nor padded. `add_special` adds what the template of the model asks for.
  Encoding encode(std::string_view text, bool add_special = true) const;
  Encoding encode_pair(std::string_view text, std::string_view pair, bool add_special = true) const;

  /// A text (or, with `pair`, two) under the given truncation and padding.
  Encoding encode(std::string_view text, const std::optional<std::string_view>& pair,
                  const BatchOptions& options) const;

  /// Texts, or pairs of texts, truncated and padded to one length. Throws where the truncation cannot be done.
  TokenBatch encode_batch(const std::vector<std::string>& texts, const BatchOptions& options = {}) const;
  TokenBatch encode_pairs(const std::vector<std::pair<std::string, std::string>>& pairs,
                          const BatchOptions& options = {}) const;

  /// Text of the ids. Ids that are in no vocabulary give no text, as in the reference; negative ids are an Error.
  std::string decode(std::span<const int64_t> ids, bool skip_special = true) const;

  /// The bytes that a token stands for in the middle of a text, which may be part of a character; none for special
  /// tokens and ids without a token. @throws Error where that depends on its neighbours
  std::string bytes_of(int64_t id) const;

  std::optional<int64_t> token_to_id(std::string_view token) const;
  std::optional<std::string> id_to_token(int64_t id) const;

  /// The highest id plus one: the rows that an embedding table needs at least.
  int64_t vocab_size() const;
  const SpecialIds& special_ids() const;

  /// The truncation and padding that the file asks for. `encode` does not apply them by itself; pass them on where
  /// they are wanted (transformers ignores them too).
  BatchOptions file_options() const;

  /// Writes the files that this tokenizer was loaded from into `folder`, byte for byte.
  void save(const std::filesystem::path& folder) const;

 private:
  std::shared_ptr<const TokenizerParts> parts_;
};

/// Loads a tokenizer from a file, or from a folder by the first of these that it holds: tokenizer.json;
/// tokenizer.model, spiece.model, sentencepiece.bpe.model; vocab.txt (BERT); vocab.json and merges.txt (GPT-2, RoBERTa,
/// CLIP). The roles of special tokens come from tokenizer_config.json and special_tokens_map.json where they exist.
/// Throws Error naming the file and the place in it.
Tokenizer load_tokenizer(const std::filesystem::path& folder_or_file);

/// A tokenizer from the bytes of a tokenizer.json; `name` is how errors call it.
Tokenizer parse_tokenizer_json(std::string bytes, const std::string& name = "tokenizer.json");

/// A tokenizer from the bytes of a SentencePiece model. It adds no special tokens unless a tokenizer_config.json beside
/// it says so (see `load_tokenizer`).
Tokenizer parse_sentencepiece(std::string bytes, const std::string& name = "tokenizer.model");

/// Byte offsets into `text` as character offsets (UTF-8 code points; an ill-formed piece counts as one).
std::vector<TextSpan> to_characters(std::string_view text, const std::vector<TextSpan>& offsets);

/// Decodes ids one at a time, for text that appears while it is generated.
///
/// `push` returns the text that has become certain: never half of a UTF-8 character, and the pieces joined are
/// `decode` of all ids at once, as long as byte tokens spell valid UTF-8.
class StreamDecoder {
 public:
  explicit StreamDecoder(Tokenizer tokenizer, bool skip_special = true)
      : tokenizer_(std::move(tokenizer)), skip_special_(skip_special) {}

  std::string push(int64_t id);
  /// The rest, with U+FFFD for bytes whose character never came. The decoder is as new afterwards.
  std::string finish();

 private:
  std::string emit(bool last);

  Tokenizer tokenizer_;
  bool skip_special_;
  std::vector<int64_t> window_;  // context (the ids of the last piece that was returned), then what is not returned yet
  size_t context_ = 0;           // how many ids of window_ are context
};

/// What `train_sentencepiece` makes.
struct SentencePieceOptions {
  int64_t vocab_size = 8000;
  std::string model = "unigram";  ///< unigram or bpe
  bool byte_fallback = false;     ///< characters without a piece become bytes instead of unknown
  double character_coverage = 0.9995;
  uint32_t seed = 0;
  int64_t max_sentences = 0;  ///< train on this many sentences drawn from the input; 0: all
  std::string normalization = "nmt_nfkc";
  std::vector<std::string> user_symbols;        ///< pieces that are never split
  int64_t unk = 0, bos = 1, eos = 2, pad = -1;  ///< ids; -1: the model has none
};

/// Trains a SentencePiece model (Kudo and Richardson, 2018) and returns the bytes of its .model file; the same input,
/// options and seed give the same bytes. Throws Error where the library refuses, for instance when the text cannot
/// fill the vocabulary.
std::string train_sentencepiece(const std::vector<std::string>& sentences, const SentencePieceOptions& options);
/// The same from a text file with one sentence per line.
std::string train_sentencepiece(const std::filesystem::path& corpus, const SentencePieceOptions& options);

}  // namespace tessera

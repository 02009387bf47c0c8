#pragma once
#include <limits>
#include <memory>
#include <unordered_map>

#include "text/parts.h"
#include "text/sentencepiece_proto.h"
#include "text/trie.h"

namespace tessera::text {

/// The pieces of a SentencePiece model by name and id, with what its stages share.
class SentencePieces {
 public:
  explicit SentencePieces(SentencePieceProto model, const std::string& file);

  const SentencePieceProto& model() const { return model_; }
  const SentencePieceProto::Entry& at(int32_t id) const { return model_.pieces[static_cast<size_t>(id)]; }
  bool is(int32_t id, SentencePieceProto::Type type) const { return at(id).type == type; }
  std::optional<int32_t> find(std::string_view piece) const;           ///< any piece
  std::optional<int32_t> find_spelling(std::string_view piece) const;  ///< one that text may become
  int32_t unknown() const { return unknown_; }
  float least_score() const { return least_score_; }  ///< of the normal pieces
  float most_score() const { return most_score_; }

  const Trie& spellings() const { return spellings_; }
  const Trie& user_defined() const { return user_defined_; }
  /// The length of the user-defined symbol that the text begins with, or 0.
  size_t user_defined_prefix(std::string_view text) const;
  std::optional<int32_t> byte(unsigned char value) const { return bytes_[value]; }

 private:
  SentencePieceProto model_;
  std::unordered_map<std::string_view, int32_t> ids_;
  Trie spellings_, user_defined_;
  std::optional<int32_t> bytes_[256];
  int32_t unknown_ = -1;
  float least_score_ = std::numeric_limits<float>::max(), most_score_ = std::numeric_limits<float>::lowest();
};

std::unique_ptr<Normalizer> make_sentencepiece_normalizer(std::shared_ptr<const SentencePieces> pieces,
                                                          const std::string& file);
std::unique_ptr<Model> make_sentencepiece_model(std::shared_ptr<const SentencePieces> pieces);
std::unique_ptr<Decoder> make_sentencepiece_decoder(std::shared_ptr<const SentencePieces> pieces);

/// A way to spell a normalized text: stretches and the pieces they are.
struct Spelled {
  size_t begin, end;
  int32_t id;
};
std::vector<Spelled> spell_unigram(const SentencePieces& pieces, std::string_view text);
std::vector<Spelled> spell_bpe(const SentencePieces& pieces, std::string_view text);

}  // namespace tessera::text

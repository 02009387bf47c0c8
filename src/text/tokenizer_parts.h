#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/added_tokens.h"
#include "text/parts.h"

namespace tessera {

/// What a `Tokenizer` is made of; every stage but the model may be missing.
struct TokenizerParts {
  text::AddedTokens added;
  std::unique_ptr<text::Normalizer> normalizer;
  std::unique_ptr<text::PreTokenizer> pre_tokenizer;
  std::unique_ptr<text::Model> model;
  std::unique_ptr<text::PostProcessor> post_processor;
  std::unique_ptr<text::Decoder> decoder;
  SpecialIds special;
  BatchOptions file_options;
  std::vector<std::pair<std::string, std::string>> files;  ///< name and bytes, for `save`

  std::optional<int64_t> find(std::string_view token) const;
  std::optional<std::string> token(int64_t id) const;
};

namespace text {

/// Builds the parts from a document in the tokenizer.json format.
std::shared_ptr<TokenizerParts> build_tokenizer(const nlohmann::json& document, const std::string& file);
/// Builds the parts over a SentencePiece model.
std::shared_ptr<TokenizerParts> build_sentencepiece(const std::string& bytes, const std::string& file);

/// The roles of special tokens: by the spellings of `config` (tokenizer_config.json, may be null) where it names them,
/// else by the usual ones.
void find_special_ids(TokenizerParts& parts, const nlohmann::json& config);

/// tokenizer.json documents for the older layouts of BERT (vocab.txt) and of GPT-2, RoBERTa and CLIP (vocab.json and
/// merges.txt). `config` is tokenizer_config.json or null.
nlohmann::json bert_document(const std::string& vocab, const nlohmann::json& config);
nlohmann::json byte_level_document(const nlohmann::json& vocab, const std::string& merges,
                                   const nlohmann::json& config);

}  // namespace text
}  // namespace tessera

#include "text/sentencepiece_stages.h"
#include "text/tokenizer_parts.h"

// "SentencePiece" (Kudo and Richardson, 2018): the .model file holds the vocabulary and the normalization.
namespace tessera {
namespace text {

std::shared_ptr<TokenizerParts> build_sentencepiece(const std::string& bytes, const std::string& file) {
  const auto pieces = std::make_shared<const SentencePieces>(parse_sentencepiece_proto(bytes, file), file);
  auto parts = std::make_shared<TokenizerParts>();
  for (const auto& entry : pieces->model().pieces) {
    if (entry.type == SentencePieceProto::Control) parts->added.add_special(entry.piece);
  }
  parts->normalizer = make_sentencepiece_normalizer(pieces, file);
  parts->model = make_sentencepiece_model(pieces);
  parts->decoder = make_sentencepiece_decoder(pieces);
  const auto role = [&](const std::string& piece) -> std::optional<int64_t> {
    const auto id = pieces->find(piece);
    return id && pieces->is(*id, SentencePieceProto::Control) ? std::optional<int64_t>(*id) : std::nullopt;
  };
  parts->special.bos = role(pieces->model().bos_piece);
  parts->special.eos = role(pieces->model().eos_piece);
  parts->special.pad = role(pieces->model().pad_piece);
  parts->special.unk = pieces->unknown();
  return parts;
}

}  // namespace text

Tokenizer parse_sentencepiece(std::string bytes, const std::string& name) {
  auto parts = text::build_sentencepiece(bytes, name);
  text::find_special_ids(*parts, nullptr);
  parts->files.emplace_back("tokenizer.model", std::move(bytes));
  return Tokenizer(std::move(parts));
}

}  // namespace tessera

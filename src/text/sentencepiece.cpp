#include <sentencepiece_processor.h>

#include "core/error.h"
#include "text/tokenizer_parts.h"

// "SentencePiece" (Kudo and Richardson, 2018), through its own library: the .model file holds the vocabulary and the
// normalization.
namespace tessera {
namespace text {
namespace {

using Processor = sentencepiece::SentencePieceProcessor;

class SentencePieceModel : public Model {
 public:
  explicit SentencePieceModel(std::shared_ptr<const Processor> processor) : processor_(std::move(processor)) {}

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    sentencepiece::ImmutableSentencePieceText spelled;
    const auto status = processor_->Encode({word.data(), word.size()}, spelled.mutable_proto());
    if (!status.ok()) throw Error(status.ToString(), "sentencepiece");
    for (const auto& piece : spelled.pieces()) {
      tokens.push_back({piece.id(), piece.piece(), std::min<size_t>(piece.begin(), word.size()),
                        std::min<size_t>(piece.end(), word.size())});
    }
  }

  std::optional<int64_t> token_to_id(std::string_view token) const override {
    const int id = processor_->PieceToId({token.data(), token.size()});
    // The library answers the unknown id for what it does not know.
    if (id == processor_->unk_id() && processor_->IdToPiece(id) != token) return std::nullopt;
    return id;
  }
  std::optional<std::string> id_to_token(int64_t id) const override {
    if (id < 0 || id >= vocab_size()) return std::nullopt;
    return processor_->IdToPiece(static_cast<int>(id));
  }
  int64_t vocab_size() const override { return processor_->GetPieceSize(); }

 private:
  std::shared_ptr<const Processor> processor_;
};

class SentencePieceDecoder : public Decoder {
 public:
  explicit SentencePieceDecoder(std::shared_ptr<const Processor> processor) : processor_(std::move(processor)) {}

  std::vector<std::string> decode(std::vector<std::string> tokens) const override {
    std::vector<std::string> out, run;
    const auto flush = [&] {
      if (run.empty()) return;
      std::string text;
      const auto status = processor_->Decode(run, &text);
      if (!status.ok()) throw Error(status.ToString(), "sentencepiece");
      out.push_back(std::move(text));
      run.clear();
    };
    for (std::string& token : tokens) {
      if (is_piece(token)) {
        run.push_back(std::move(token));
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    return out;
  }

 private:
  // The library drops control symbols and does not know added tokens; who wants to see them gets them as they are.
  bool is_piece(const std::string& token) const {
    const int id = processor_->PieceToId(token);
    if (processor_->IsUnknown(id)) return processor_->IdToPiece(id) == token;
    return !processor_->IsControl(id);
  }

  std::shared_ptr<const Processor> processor_;
};

}  // namespace

std::shared_ptr<TokenizerParts> build_sentencepiece(const std::string& bytes, const std::string& file) {
  auto processor = std::make_shared<Processor>();
  // An empty file parses as a model with nothing in it.
  const auto status = processor->LoadFromSerializedProto(bytes);
  if (bytes.empty() || !status.ok()) {
    throw Error("not a SentencePiece model: " + status.ToString(), file, "the file is damaged or incomplete");
  }
  if (processor->GetPieceSize() == 0) throw Error("the SentencePiece model has no pieces", file);
  auto parts = std::make_shared<TokenizerParts>();
  for (int id = 0; id < processor->GetPieceSize(); ++id) {
    if (processor->IsControl(id)) parts->added.add_special(processor->IdToPiece(id));
  }
  parts->model = std::make_unique<SentencePieceModel>(processor);
  parts->decoder = std::make_unique<SentencePieceDecoder>(processor);
  const auto role = [&](int id) { return id < 0 ? std::nullopt : std::optional<int64_t>(id); };
  parts->special.bos = role(processor->bos_id());
  parts->special.eos = role(processor->eos_id());
  parts->special.unk = role(processor->unk_id());
  parts->special.pad = role(processor->pad_id());
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

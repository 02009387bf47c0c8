#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include "text/sentencepiece_library.h"

namespace {

using tessera::text::SentencePieceLibrary;
using tessera::text::SentencePieceModelApi;

class Model : public SentencePieceModelApi {
 public:
  sentencepiece::SentencePieceProcessor processor;

  std::string encode(std::string_view text, std::vector<Piece>& pieces) const override {
    sentencepiece::ImmutableSentencePieceText spelled;
    const auto status = processor.Encode({text.data(), text.size()}, spelled.mutable_proto());
    if (!status.ok()) return status.ToString();
    for (const auto& piece : spelled.pieces())
      pieces.push_back({piece.id(), piece.piece(), piece.begin(), piece.end()});
    return {};
  }
  std::string decode(const std::vector<std::string>& pieces, std::string& text) const override {
    const auto status = processor.Decode(pieces, &text);
    return status.ok() ? std::string() : status.ToString();
  }
  int piece_to_id(std::string_view piece) const override { return processor.PieceToId({piece.data(), piece.size()}); }
  const std::string& id_to_piece(int id) const override { return processor.IdToPiece(id); }
  int size() const override { return processor.GetPieceSize(); }
  bool is_control(int id) const override { return processor.IsControl(id); }
  bool is_unknown(int id) const override { return processor.IsUnknown(id); }
  int bos() const override { return processor.bos_id(); }
  int eos() const override { return processor.eos_id(); }
  int unk() const override { return processor.unk_id(); }
  int pad() const override { return processor.pad_id(); }
};

class Sentences : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const std::vector<std::string>& sentences) : sentences_(sentences) {}
  bool done() const override { return at_ >= sentences_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return sentences_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& sentences_;
  size_t at_ = 0;
};

class Library : public SentencePieceLibrary {
 public:
  std::shared_ptr<const SentencePieceModelApi> load(std::string_view bytes, std::string& error) const override {
    auto model = std::make_shared<Model>();
    const auto status = model->processor.LoadFromSerializedProto({bytes.data(), bytes.size()});
    if (status.ok()) return model;
    error = status.ToString();
    return nullptr;
  }
  std::string train(const std::map<std::string, std::string>& arguments, const std::vector<std::string>& sentences,
                    uint32_t seed, std::string& model) const override {
    sentencepiece::SetRandomGeneratorSeed(seed);
    Sentences iterator(sentences);
    const auto status =
        sentencepiece::SentencePieceTrainer::Train({arguments.begin(), arguments.end()}, &iterator, &model);
    return status.ok() ? std::string() : status.ToString();
  }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const SentencePieceLibrary* tessera_sentencepiece_library() {
  static const Library library;
  return &library;
}

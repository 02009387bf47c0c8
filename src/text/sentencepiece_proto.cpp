#include "text/sentencepiece_proto.h"

#include <bit>
#include <string_view>

#include "core/error.h"
#include "text/utf8.h"

namespace tessera::text {
namespace {

// One field of a message in the Protocol Buffers wire format.
struct Field {
  uint64_t number = 0;
  uint64_t value = 0;      // of a varint, or the bits of a fixed-size number
  std::string_view bytes;  // of a string or a message
};

class Reader {
 public:
  Reader(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  bool next(Field& field) {
    if (at_ == bytes_.size()) return false;
    const uint64_t key = varint();
    field = {key >> 3, 0, {}};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.value = fixed(4);
        break;
      default:
        fail();
    }
    if (field.number == 0) fail();
    return true;
  }

  [[noreturn]] void fail() const {
    throw Error("not a SentencePiece model: damaged at byte " + std::to_string(at_) + " of a message", file_,
                "the file is damaged or incomplete");
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ >= bytes_.size()) fail();
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }

  std::string_view take(uint64_t length) {
    if (length > bytes_.size() - at_) fail();
    at_ += length;
    return bytes_.substr(at_ - length, length);
  }

  uint64_t fixed(size_t length) {
    uint64_t value = 0;
    const std::string_view taken = take(length);
    for (size_t i = 0; i < length; ++i) value |= static_cast<uint64_t>(static_cast<unsigned char>(taken[i])) << (8 * i);
    return value;
  }

  std::string_view bytes_;
  const std::string& file_;
  size_t at_ = 0;
};

std::string text_of(const Reader& reader, const Field& field) {
  if (!is_valid_utf8(field.bytes)) reader.fail();
  return std::string(field.bytes);
}

SentencePieceProto::Entry read_piece(std::string_view bytes, const std::string& file) {
  SentencePieceProto::Entry entry;
  Reader reader(bytes, file);
  for (Field field; reader.next(field);) {
    if (field.number == 1) entry.piece = text_of(reader, field);
    if (field.number == 2) entry.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number == 3) entry.type = static_cast<int>(field.value & 0xFF);
  }
  if (entry.piece.empty()) throw Error("the SentencePiece model has an empty piece", file);
  return entry;
}

void read_trainer(std::string_view bytes, const std::string& file, SentencePieceProto& model) {
  Reader reader(bytes, file);
  for (Field field; reader.next(field);) {
    switch (field.number) {
      case 3:
        model.model_type = static_cast<int>(field.value & 0xFF);
        break;
      case 24:
        model.space_as_suffix = field.value != 0;
        break;
      case 35:
        model.byte_fallback = field.value != 0;
        break;
      case 44:
        model.unk_surface = text_of(reader, field);
        break;
      case 46:
        model.bos_piece = text_of(reader, field);
        break;
      case 47:
        model.eos_piece = text_of(reader, field);
        break;
      case 48:
        model.pad_piece = text_of(reader, field);
        break;
      default:
        break;  // how it was trained
    }
  }
}

void read_normalizer(std::string_view bytes, const std::string& file, SentencePieceProto& model) {
  Reader reader(bytes, file);
  for (Field field; reader.next(field);) {
    switch (field.number) {
      case 2:
        model.charsmap = std::string(field.bytes);
        break;
      case 3:
        model.add_dummy_prefix = field.value != 0;
        break;
      case 4:
        model.remove_extra_spaces = field.value != 0;
        break;
      case 5:
        model.escape_spaces = field.value != 0;
        break;
      default:
        break;  // names of the rules
    }
  }
}

void refuse_denormalizer(std::string_view bytes, const std::string& file) {
  Reader reader(bytes, file);
  for (Field field; reader.next(field);) {
    if (field.number == 2 && !field.bytes.empty()) {
      throw Error("the SentencePiece model has rules for denormalization, which are not supported", file);
    }
  }
}

}  // namespace

SentencePieceProto parse_sentencepiece_proto(const std::string& bytes, const std::string& file) {
  SentencePieceProto model;
  Reader reader(bytes, file);
  for (Field field; reader.next(field);) {
    if (field.number == 1) model.pieces.push_back(read_piece(field.bytes, file));
    if (field.number == 2) read_trainer(field.bytes, file, model);
    if (field.number == 3) read_normalizer(field.bytes, file, model);
    if (field.number == 5) refuse_denormalizer(field.bytes, file);
  }
  if (model.pieces.empty()) throw Error("the SentencePiece model has no pieces", file, "the file is damaged or empty");
  if (model.model_type != SentencePieceProto::Unigram && model.model_type != SentencePieceProto::Bpe) {
    throw Error("the SentencePiece model is neither unigram nor bpe", file);
  }
  return model;
}

}  // namespace tessera::text

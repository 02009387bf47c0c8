#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace tessera::text {

/// The part of SentencePiece's ModelProto that encoding and decoding need.
struct SentencePieceProto {
  enum Type { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };
  enum ModelType { Unigram = 1, Bpe = 2 };
  struct Entry {
    std::string piece;
    float score = 0;
    int type = Normal;
  };

  std::vector<Entry> pieces;
  int model_type = Unigram;
  bool space_as_suffix = false, byte_fallback = false;
  std::string unk_surface = " \xE2\x81\x87 ";
  std::string bos_piece = "<s>", eos_piece = "</s>", pad_piece = "<pad>";
  std::string charsmap;
  bool add_dummy_prefix = true, remove_extra_spaces = true, escape_spaces = true;
};

/// Reads the bytes of a .model file (Protocol Buffers). Throws Error naming `file` where they are damaged.
///
/// The file is read here and not by libsentencepiece (see sentencepiece_library.h), so that loading a published model
/// needs no second library; the tests compare the two.
SentencePieceProto parse_sentencepiece_proto(const std::string& bytes, const std::string& file);

}  // namespace tessera::text

#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text {

/// One loaded SentencePiece model.
class SentencePieceModelApi {
 public:
  struct Piece {
    int64_t id = 0;
    std::string text;
    size_t begin = 0, end = 0;  ///< bytes of the input
  };

  virtual ~SentencePieceModelApi() = default;
  /// Each of these returns an error text, empty when all went well.
  virtual std::string encode(std::string_view text, std::vector<Piece>& pieces) const = 0;
  virtual std::string decode(const std::vector<std::string>& pieces, std::string& text) const = 0;

  virtual int piece_to_id(std::string_view piece) const = 0;
  virtual const std::string& id_to_piece(int id) const = 0;
  virtual int size() const = 0;
  virtual bool is_control(int id) const = 0;
  virtual bool is_unknown(int id) const = 0;
  virtual int bos() const = 0;
  virtual int eos() const = 0;
  virtual int unk() const = 0;
  virtual int pad() const = 0;
};

/// The SentencePiece library (Kudo and Richardson, 2018) behind an interface of our own.
///
/// Debian's libsentencepiece exports the symbols of the protobuf-lite that it contains, and LibTorch loads the real
/// protobuf: linked into one program, each calls into the other and crashes. So the library lives in a module of its
/// own (src/plugins/sentencepiece.cpp), loaded with a private symbol scope when a model is trained. Models are read and
/// applied by our own code (sentencepiece.cpp); the tests compare the two.
class SentencePieceLibrary {
 public:
  virtual ~SentencePieceLibrary() = default;
  /// Null with `error` set when the bytes are no model.
  virtual std::shared_ptr<const SentencePieceModelApi> load(std::string_view bytes, std::string& error) const = 0;
  /// @return an error text, empty when all went well
  virtual std::string train(const std::map<std::string, std::string>& arguments,
                            const std::vector<std::string>& sentences, uint32_t seed, std::string& model) const = 0;
};

/// @throws Error when the module cannot be loaded
const SentencePieceLibrary& sentencepiece_library();

}  // namespace tessera::text

#include "text/sentencepiece_stages.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "text/charsmap.h"

namespace tessera::text {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // how pieces write a space
using Proto = SentencePieceProto;

void replace_space_marks(std::string_view piece, std::string& out) {
  for (size_t i = 0; i < piece.size();) {
    const bool mark = piece.substr(i).starts_with(kSpace);
    out += mark ? ' ' : piece[i];
    i += mark ? kSpace.size() : 1;
  }
}

// The rules are applied from left to right, the longest first; runs of spaces are squeezed where the model says so.
class SentencePieceNormalizer : public Normalizer {
 public:
  SentencePieceNormalizer(std::shared_ptr<const SentencePieces> pieces, const std::string& file)
      : pieces_(std::move(pieces)), rules_(pieces_->model().charsmap, file) {}

  void normalize(AlignedText& text) const override {
    const Proto& model = pieces_->model();
    AlignedText out;
    bool after_space = model.remove_extra_spaces;  // the beginning counts as a space
    for (size_t i = 0; i < text.text.size();) {
      const size_t begin = i;
      std::string_view normal = step(text.text, i);
      while (after_space && normal.starts_with(' ')) normal.remove_prefix(1);
      if (!normal.empty()) after_space = model.remove_extra_spaces && normal.ends_with(' ');
      push(normal, text.range(begin, i), out);
    }
    const std::string_view space = model.escape_spaces ? kSpace : " ";
    while (model.remove_extra_spaces && out.text.ends_with(space)) out = out.slice(0, out.text.size() - space.size());
    if (model.add_dummy_prefix && model.space_as_suffix) out.append(space);
    if (model.add_dummy_prefix && !model.space_as_suffix) out.prepend(space);
    text = std::move(out);
  }

 private:
  // What the text at `i` becomes, and `i` moved behind it.
  std::string_view step(std::string_view text, size_t& i) const {
    const std::string_view rest = text.substr(i);
    if (const size_t user = pieces_->user_defined_prefix(rest)) {
      i += user;
      return rest.substr(0, user);
    }
    if (const auto rule = rules_.longest_prefix(rest)) {
      i += rule->length;
      while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) ++i;  // damaged rules
      return rule->replacement;
    }
    const size_t begin = i;
    next_char(text, i);
    return text.substr(begin, i - begin);
  }

  void push(std::string_view normal, AlignedText::Source from, AlignedText& out) const {
    for (const char c : normal) {
      out.push(c == ' ' && pieces_->model().escape_spaces ? kSpace : std::string_view(&c, 1), from);
    }
  }

  std::shared_ptr<const SentencePieces> pieces_;
  Charsmap rules_;
};

class SentencePieceModel : public Model {
 public:
  explicit SentencePieceModel(std::shared_ptr<const SentencePieces> pieces) : pieces_(std::move(pieces)) {}

  void tokenize(std::string_view word, std::vector<Token>& tokens) const override {
    const bool bpe = pieces_->model().model_type == Proto::Bpe;
    bool after_unknown = false;
    for (const Spelled& spelled : bpe ? spell_bpe(*pieces_, word) : spell_unigram(*pieces_, word)) {
      const std::string_view text = word.substr(spelled.begin, spelled.end - spelled.begin);
      const bool unknown = spelled.id == pieces_->unknown();
      if (unknown && pieces_->model().byte_fallback) {
        push_bytes(text, spelled, tokens);
      } else if (unknown && after_unknown) {  // neighbouring unknown pieces become one
        tokens.back().text += text;
        tokens.back().end = spelled.end;
      } else {
        tokens.push_back({spelled.id, std::string(text), spelled.begin, spelled.end});
      }
      after_unknown = unknown;
    }
  }

  std::optional<int64_t> token_to_id(std::string_view token) const override { return pieces_->find(token); }
  std::optional<std::string> id_to_token(int64_t id) const override {
    if (id < 0 || id >= vocab_size()) return std::nullopt;
    return pieces_->at(static_cast<int32_t>(id)).piece;
  }
  int64_t vocab_size() const override { return static_cast<int64_t>(pieces_->model().pieces.size()); }

 private:
  void push_bytes(std::string_view text, const Spelled& at, std::vector<Token>& tokens) const {
    for (const char c : text) {
      const int32_t id = *pieces_->byte(static_cast<unsigned char>(c));
      tokens.push_back({id, pieces_->at(id).piece, at.begin, at.end});
    }
  }

  std::shared_ptr<const SentencePieces> pieces_;
};

class SentencePieceDecoder : public Decoder {
 public:
  explicit SentencePieceDecoder(std::shared_ptr<const SentencePieces> pieces) : pieces_(std::move(pieces)) {}

  std::vector<std::string> decode(std::vector<std::string> tokens) const override {
    std::string text, bytes;
    bool at_beginning = true;  // where the space of the dummy prefix is dropped
    for (const std::string& token : tokens) {
      const auto id = pieces_->find(token);
      if (id && pieces_->is(*id, Proto::Byte)) {
        bytes.push_back(static_cast<char>(std::stoi(token.substr(3, 2), nullptr, 16)));
        continue;
      }
      text += flush(bytes);
      if (!text.empty()) at_beginning = false;
      if (!id || pieces_->is(*id, Proto::Control)) {
        text += token;
      } else if (*id == pieces_->unknown()) {
        text += pieces_->model().unk_surface;
      } else {
        append(token, at_beginning, text);
      }
    }
    return {text + flush(bytes)};
  }
  std::string bytes(std::string token) const override {
    const auto id = pieces_->find(token);
    if (id && pieces_->is(*id, Proto::Byte))
      return std::string(1, static_cast<char>(std::stoi(token.substr(3, 2), nullptr, 16)));
    if (!id || pieces_->is(*id, Proto::Control) || *id == pieces_->unknown()) return "";
    std::string text;
    replace_space_marks(token, text);
    return text;
  }

 private:
  static std::string flush(std::string& bytes) {
    std::string text;
    for (size_t i = 0; i < bytes.size();) {  // each byte that begins no character is one U+FFFD
      const Utf8Step step = utf8_step(bytes, i);
      text += step.valid ? bytes.substr(i, step.length) : to_utf8(kReplacement);
      i += step.valid ? step.length : 1;
    }
    bytes.clear();
    return text;
  }

  void append(std::string_view piece, bool& at_beginning, std::string& text) const {
    const Proto& model = pieces_->model();
    if (at_beginning && (model.add_dummy_prefix || model.remove_extra_spaces) && piece.starts_with(kSpace)) {
      piece.remove_prefix(kSpace.size());
      at_beginning = model.remove_extra_spaces;  // then all spaces at the beginning are dropped, else this one
    }
    replace_space_marks(piece, text);
  }

  std::shared_ptr<const SentencePieces> pieces_;
};

}  // namespace

SentencePieces::SentencePieces(SentencePieceProto model, const std::string& file) : model_(std::move(model)) {
  std::vector<std::pair<std::string_view, int32_t>> spellings, user_defined;
  constexpr char kHex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < model_.pieces.size(); ++i) {
    const auto& entry = model_.pieces[i];
    const auto id = static_cast<int32_t>(i);
    if (!ids_.emplace(entry.piece, id).second) throw Error("the piece '" + entry.piece + "' stands twice", file);
    if (entry.type == Proto::Unknown) unknown_ = id;
    if (entry.type == Proto::Normal) {
      least_score_ = std::min(least_score_, entry.score);
      most_score_ = std::max(most_score_, entry.score);
    }
    if (entry.type == Proto::UserDefined) user_defined.emplace_back(entry.piece, id);
    const bool spelling =
        entry.type == Proto::Normal || entry.type == Proto::UserDefined || entry.type == Proto::Unused;
    if (spelling) spellings.emplace_back(entry.piece, id);
  }
  if (unknown_ < 0) throw Error("the SentencePiece model has no unknown piece", file);
  for (size_t value = 0; value < 256; ++value) {
    bytes_[value] = find(std::string("<0x") + kHex[value >> 4] + kHex[value & 15] + ">");
    if (model_.byte_fallback && !bytes_[value]) throw Error("the SentencePiece model lacks pieces for bytes", file);
  }
  for (size_t i = 0; i < model_.pieces.size(); ++i) {
    const auto& entry = model_.pieces[i];
    if (entry.type == Proto::Byte &&
        (entry.piece.size() != 6 || !entry.piece.starts_with("<0x") ||
         bytes_[std::strtoul(entry.piece.c_str() + 3, nullptr, 16) & 0xFF] != static_cast<int32_t>(i))) {
      throw Error("the byte piece '" + entry.piece + "' is spelled wrong", file);
    }
  }
  spellings_ = Trie(std::move(spellings));
  user_defined_ = Trie(std::move(user_defined));
}

std::optional<int32_t> SentencePieces::find(std::string_view piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<int32_t> SentencePieces::find_spelling(std::string_view piece) const {
  const auto id = find(piece);
  if (!id || is(*id, Proto::Unknown) || is(*id, Proto::Control) || is(*id, Proto::Byte)) return std::nullopt;
  return id;
}

size_t SentencePieces::user_defined_prefix(std::string_view text) const {
  size_t longest = 0;
  user_defined_.prefixes(text, [&](size_t length, int32_t) { longest = length; });
  return longest;
}

std::unique_ptr<Normalizer> make_sentencepiece_normalizer(std::shared_ptr<const SentencePieces> pieces,
                                                          const std::string& file) {
  return std::make_unique<SentencePieceNormalizer>(std::move(pieces), file);
}

std::unique_ptr<Model> make_sentencepiece_model(std::shared_ptr<const SentencePieces> pieces) {
  return std::make_unique<SentencePieceModel>(std::move(pieces));
}

std::unique_ptr<Decoder> make_sentencepiece_decoder(std::shared_ptr<const SentencePieces> pieces) {
  return std::make_unique<SentencePieceDecoder>(std::move(pieces));
}

}  // namespace tessera::text

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <array>
#include <cstring>

#include "core/error.h"
#include "text/parts.h"

// SentencePiece's normalization rules as a "precompiled charsmap": the size of a double-array trie, the trie, and the
// replacements as strings that end in zero bytes. The double array is the one of darts-clone: 32-bit units that hold
// an offset, a label and a flag that says whether a key ends here.
namespace tessera::text {
namespace {

std::string decode_base64(const JsonNode& node) {
  const std::string text = node.string();
  std::string bytes;
  uint32_t buffer = 0;
  int bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    const int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
    if (value < 0) node.fail("not base64");
    buffer = (buffer << 6 | static_cast<uint32_t>(value)) & 0xFFFFFF;
    if ((bits += 6) >= 8) bytes.push_back(static_cast<char>((buffer >> (bits -= 8)) & 0xFF));
  }
  return bytes;
}

uint32_t read_uint32(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t k) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + k])); };
  return byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
}

uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); }

icu::BreakIterator& grapheme_breaks() {
  thread_local const std::unique_ptr<icu::BreakIterator> breaks = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::BreakIterator> made(
        icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
    if (U_FAILURE(status)) throw Error(std::string("Unicode data are missing: ") + u_errorName(status), "Precompiled");
    return made;
  }();
  return *breaks;
}

class Precompiled : public Normalizer {
 public:
  explicit Precompiled(const JsonNode& node) {
    const std::string bytes = decode_base64(node);
    if (bytes.empty()) return;  // no rules at all
    if (bytes.size() < 4) node.fail("charsmap is too short");
    const size_t size = read_uint32(bytes, 0);
    if (size % 4 != 0 || size > bytes.size() - 4) node.fail("charsmap is shorter than its trie");
    for (size_t at = 0; at < size; at += 4) units_.push_back(read_uint32(bytes, 4 + at));
    replacements_ = bytes.substr(4 + size);
    if (!is_valid_utf8(replacements_)) node.fail("charsmap holds text that is not UTF-8");
  }

  void normalize(AlignedText& text) const override {
    if (units_.empty() || text.empty()) return;
    AlignedText out;
    UErrorCode status = U_ZERO_ERROR;
    UText view = UTEXT_INITIALIZER;
    utext_openUTF8(&view, text.text.data(), static_cast<int64_t>(text.text.size()), &status);
    icu::BreakIterator& breaks = grapheme_breaks();
    breaks.setText(&view, status);
    if (U_FAILURE(status)) throw Error(std::string("cannot find characters: ") + u_errorName(status), "Precompiled");
    size_t begin = 0;
    for (int32_t next = breaks.next(); next != icu::BreakIterator::DONE; next = breaks.next()) {
      const auto end = static_cast<size_t>(next);
      normalize_grapheme(text, begin, end, out);
      begin = end;
    }
    utext_close(&view);
    text = std::move(out);
  }

 private:
  // Short graphemes are looked up as a whole first, then character by character. What is found may be a prefix only;
  // it replaces the whole all the same, as in the reference.
  void normalize_grapheme(const AlignedText& text, size_t begin, size_t end, AlignedText& out) const {
    const std::string_view whole = text.text;
    if (end - begin < 6 && replace(text, begin, end, out)) return;
    for (size_t at = begin; at < end;) {
      size_t next = at;
      next_char(whole, next);
      if (!replace(text, at, next, out)) out.push(text, at, next);
      at = next;
    }
  }

  bool replace(const AlignedText& text, size_t begin, size_t end, AlignedText& out) const {
    const auto found = shortest_prefix(std::string_view(text.text).substr(begin, end - begin));
    if (!found || *found > replacements_.size()) return false;
    const char* replacement = replacements_.c_str() + *found;
    if ((static_cast<unsigned char>(*replacement) & 0xC0) == 0x80) return false;  // damaged: the middle of a character
    out.push(std::string_view(replacement), text.range(begin, end));
    return true;
  }

  std::optional<size_t> shortest_prefix(std::string_view key) const {
    size_t position = 0;
    uint32_t unit = units_[0];
    position ^= offset_of(unit);
    for (const char c : key) {
      const auto label = static_cast<unsigned char>(c);
      if (label == 0) return std::nullopt;
      position ^= label;
      if (position >= units_.size()) return std::nullopt;
      unit = units_[position];
      if ((unit & ((1U << 31) | 0xFF)) != label) return std::nullopt;
      position ^= offset_of(unit);
      if (position >= units_.size()) return std::nullopt;
      if ((unit >> 8) & 1) return units_[position] & ((1U << 31) - 1);
    }
    return std::nullopt;
  }

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace

std::unique_ptr<Normalizer> make_precompiled_normalizer(const JsonNode& node) {
  // Some converters write null for a model without rules.
  static const nlohmann::json none = "";
  const bool present = node.has("precompiled_charsmap");
  return std::make_unique<Precompiled>(present ? node.at("precompiled_charsmap") : JsonNode(none, node.where()));
}

}  // namespace tessera::text

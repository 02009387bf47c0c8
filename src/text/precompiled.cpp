#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include "core/error.h"
#include "text/charsmap.h"
#include "text/parts.h"

// SentencePiece's normalization rules as the tokenizers library applies them: to graphemes.
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
  explicit Precompiled(const JsonNode& node) : rules_(decode_base64(node), node.where()) {}

  void normalize(AlignedText& text) const override {
    if (rules_.empty() || text.empty()) return;
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
    const auto rule = rules_.shortest_prefix(std::string_view(text.text).substr(begin, end - begin));
    if (rule) out.push(rule->replacement, text.range(begin, end));
    return rule.has_value();
  }

  Charsmap rules_;
};

}  // namespace

std::unique_ptr<Normalizer> make_precompiled_normalizer(const JsonNode& node) {
  // Some converters write null for a model without rules.
  static const nlohmann::json none = "";
  const bool present = node.has("precompiled_charsmap");
  return std::make_unique<Precompiled>(present ? node.at("precompiled_charsmap") : JsonNode(none, node.where()));
}

}  // namespace tessera::text

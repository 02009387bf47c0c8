#include "text/characters.h"
#include "text/parts.h"
#include "text/unicode_normalizers.h"

// The basic tokenizer's cleaning of "BERT: Pre-training of Deep Bidirectional Transformers" (Devlin et al., 2019).
namespace tessera::text {
namespace {

bool is_control(char32_t c) {
  if (c == U'\t' || c == U'\n' || c == U'\r') return false;
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0;
}

// The blocks of CJK ideographs, whose words are not separated by spaces. The sixth block begins at 2B920 in the
// reference, where Unicode has 2B820.
bool is_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class BertNormalizer : public Normalizer {
 public:
  explicit BertNormalizer(const JsonNode& node)
      : clean_(node.boolean("clean_text", true)),
        spread_(node.boolean("handle_chinese_chars", true)),
        lowercase_(node.boolean("lowercase", true)),
        strip_accents_(node.boolean("strip_accents", lowercase_)),
        decomposed_(unicode_form("NFD")) {}

  void normalize(AlignedText& text) const override {
    if (clean_) clean(text);
    if (spread_) spread_ideographs(text);
    if (strip_accents_) strip_accents(text);
    if (lowercase_) lowercase(text);
  }

 private:
  static void clean(AlignedText& text) {
    rewrite_chars(text, [](char32_t c, AlignedText::Source from, AlignedText& out) {
      if (c != 0 && c != kReplacement && !is_control(c)) out.push(is_whitespace(c) ? U' ' : c, from);
    });
  }

  static void spread_ideographs(AlignedText& text) {
    rewrite_chars(text, [](char32_t c, AlignedText::Source from, AlignedText& out) {
      const bool ideograph = is_ideograph(c);
      if (ideograph) out.push(U' ', from);
      out.push(c, from);
      if (ideograph) out.push(U' ', from);
    });
  }

  void strip_accents(AlignedText& text) const {
    normalize_unicode(text, decomposed_);
    rewrite_chars(text, [](char32_t c, AlignedText::Source from, AlignedText& out) {
      if (!is_nonspacing_mark(c)) out.push(c, from);
    });
  }

  bool clean_, spread_, lowercase_, strip_accents_;
  const icu::Normalizer2& decomposed_;
};

}  // namespace

std::unique_ptr<Normalizer> make_bert_normalizer(const JsonNode& node) {
  return std::make_unique<BertNormalizer>(node);
}

}  // namespace tessera::text

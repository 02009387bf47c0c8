#include "text/unicode_normalizers.h"

#include <unicode/unistr.h>

#include "core/error.h"
#include "text/characters.h"
#include "text/parts.h"

namespace tessera::text {
namespace {

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

// The end of the run that begins at `begin` and that no normal form mixes with what follows.
size_t run_end(std::string_view text, size_t begin, const icu::Normalizer2& form) {
  size_t end = begin;
  next_char(text, end);
  while (end < text.size()) {
    size_t next = end;
    if (form.hasBoundaryBefore(static_cast<UChar32>(next_char(text, next)))) break;
    end = next;
  }
  return end;
}

class UnicodeForm : public Normalizer {
 public:
  explicit UnicodeForm(const icu::Normalizer2& form) : form_(form) {}
  void normalize(AlignedText& text) const override { normalize_unicode(text, form_); }

 private:
  const icu::Normalizer2& form_;
};

class Lowercase : public Normalizer {
 public:
  void normalize(AlignedText& text) const override { lowercase(text); }
};

// Marks only: accents that are part of a letter have to be split off before, by NFD or NFKD.
class StripAccents : public Normalizer {
 public:
  void normalize(AlignedText& text) const override {
    if (is_ascii(text.text)) return;
    rewrite_chars(text, [](char32_t c, AlignedText::Source from, AlignedText& out) {
      if (!is_mark(c)) out.push(c, from);
    });
  }
};

// The clean-up of Google's neural machine translation: control characters go, special blanks become spaces.
class Nmt : public Normalizer {
 public:
  void normalize(AlignedText& text) const override {
    rewrite_chars(text, [](char32_t c, AlignedText::Source from, AlignedText& out) {
      if (!is_dropped(c)) out.push(is_blank(c) ? U' ' : c, from);
    });
  }

 private:
  static bool is_dropped(char32_t c) {
    return (c >= 1 && c <= 8) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
  }
  static bool is_blank(char32_t c) {
    return c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
           c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == kReplacement;
  }
};

}  // namespace

const icu::Normalizer2& unicode_form(const std::string& name) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = name == "NFC"    ? icu::Normalizer2::getNFCInstance(status)
                                 : name == "NFD"  ? icu::Normalizer2::getNFDInstance(status)
                                 : name == "NFKC" ? icu::Normalizer2::getNFKCInstance(status)
                                                  : icu::Normalizer2::getNFKDInstance(status);
  if (U_FAILURE(status)) throw Error(std::string("Unicode data are missing: ") + u_errorName(status), name);
  return *form;
}

void normalize_unicode(AlignedText& text, const icu::Normalizer2& form) {
  if (is_ascii(text.text)) return;
  AlignedText out;
  for (size_t begin = 0; begin < text.text.size();) {
    const size_t end = run_end(text.text, begin, form);
    const std::string_view run = std::string_view(text.text).substr(begin, end - begin);
    std::string normal;
    if (run.size() > 1) {  // one byte is ASCII, which every form leaves alone
      UErrorCode status = U_ZERO_ERROR;
      form.normalize(icu::UnicodeString::fromUTF8(icu::StringPiece(run.data(), static_cast<int32_t>(run.size()))),
                     status)
          .toUTF8String(normal);
      if (U_FAILURE(status)) throw Error(std::string("cannot normalize: ") + u_errorName(status), "tokenizer");
    }
    if (run.size() == 1 || normal == run) {
      out.push(text, begin, end);
    } else {
      out.push(normal, text.range(begin, end));
    }
    begin = end;
  }
  text = std::move(out);
}

void lowercase(AlignedText& text) {
  rewrite_chars(text, [](char32_t c, AlignedText::Source from, AlignedText& out) {
    if (c == 0x130) {  // the one character whose lower case is two, in every language
      out.push(U'i', from);
      out.push(0x307, from);
    } else if (c < 0x80) {
      out.push(c >= U'A' && c <= U'Z' ? c + 32 : c, from);
    } else {
      out.push(static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))), from);
    }
  });
}

std::unique_ptr<Normalizer> make_unicode_normalizer(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    return std::make_unique<UnicodeForm>(unicode_form(type));
  }
  if (type == "Lowercase") return std::make_unique<Lowercase>();
  if (type == "StripAccents") return std::make_unique<StripAccents>();
  if (type == "Nmt") return std::make_unique<Nmt>();
  return nullptr;
}

}  // namespace tessera::text

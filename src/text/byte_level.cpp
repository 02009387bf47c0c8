#include <array>

#include "text/parts.h"

// "Language Models are Unsupervised Multitask Learners" (Radford et al., 2019): bytes that print as Latin-1 stand for
// themselves, the others are moved to U+0100 and on, in their order.
namespace tessera::text {
namespace {

constexpr char32_t kFirstMoved = 0x100;
constexpr size_t kMoved = 68;

constexpr bool is_printable(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<char32_t, 256> of_byte{};
  std::array<unsigned char, kMoved> moved{};
  constexpr Alphabet() {
    size_t count = 0;
    for (unsigned byte = 0; byte < 256; ++byte) {
      if (is_printable(byte)) {
        of_byte[byte] = byte;
      } else {
        moved[count] = static_cast<unsigned char>(byte);
        of_byte[byte] = kFirstMoved + static_cast<char32_t>(count++);
      }
    }
  }
};
constexpr Alphabet kAlphabet;

}  // namespace

char32_t byte_to_char(unsigned char byte) { return kAlphabet.of_byte[byte]; }

std::optional<unsigned char> char_to_byte(char32_t c) {
  if (c < 0x100) return is_printable(c) ? std::optional(static_cast<unsigned char>(c)) : std::nullopt;
  if (c < kFirstMoved + kMoved) return kAlphabet.moved[c - kFirstMoved];
  return std::nullopt;
}

void to_byte_level(AlignedText& text) {
  AlignedText out;
  out.text.reserve(text.text.size() * 2);
  out.source.reserve(text.text.size() * 2);
  for (size_t i = 0; i < text.text.size(); ++i) {
    out.push(byte_to_char(static_cast<unsigned char>(text.text[i])), text.source[i]);
  }
  text = std::move(out);
}

}  // namespace tessera::text

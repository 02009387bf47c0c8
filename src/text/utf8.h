#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tessera::text {

inline constexpr char32_t kReplacement = 0xFFFD;

/// The character at `i`, and `i` moved behind it. The text must be valid UTF-8 from `i` on.
inline char32_t next_char(std::string_view text, size_t& i) {
  const auto byte = [&](size_t at) { return static_cast<char32_t>(static_cast<unsigned char>(text[at])); };
  const char32_t lead = byte(i);
  if (lead < 0x80) return i += 1, lead;
  const auto tail = [&](size_t at) { return byte(at) & 0x3F; };
  if (lead < 0xE0) return i += 2, ((lead & 0x1F) << 6) | tail(i - 1);
  if (lead < 0xF0) return i += 3, ((lead & 0x0F) << 12) | (tail(i - 2) << 6) | tail(i - 1);
  return i += 4, ((lead & 0x07) << 18) | (tail(i - 3) << 12) | (tail(i - 2) << 6) | tail(i - 1);
}

/// The position of the character before `i`.
inline size_t previous_char(std::string_view text, size_t i) {
  do --i;
  while (i > 0 && (static_cast<unsigned char>(text[i]) & 0xC0) == 0x80);
  return i;
}

void append_char(std::string& text, char32_t c);
std::string to_utf8(char32_t c);

/// One step over bytes that may be anything: the length of the character at `i`, or of the maximal ill-formed piece.
struct Utf8Step {
  size_t length;
  bool valid;
};
Utf8Step utf8_step(std::string_view bytes, size_t i);

bool is_valid_utf8(std::string_view bytes);
/// The bytes with each maximal ill-formed piece replaced by U+FFFD.
std::string to_valid_utf8(std::string_view bytes);
size_t count_chars(std::string_view text);

}  // namespace tessera::text

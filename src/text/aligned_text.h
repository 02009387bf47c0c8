#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"
#include "text/utf8.h"

namespace tessera::text {

/// Text on its way through normalizers and pre-tokenizers, which knows for each of its bytes which bytes of the
/// original it came from, so that the offsets of tokens refer to what the user gave. It is always valid UTF-8.
struct AlignedText {
  struct Source {
    uint32_t begin = 0, end = 0;  // 32 bits: one per byte of text, and no one tokenizes 4 GiB at once
  };

  std::string text;
  std::vector<Source> source;  ///< one per byte of `text`

  /// Raw input; ill-formed UTF-8 becomes U+FFFD. Throws Error for 4 GiB and more.
  static AlignedText from(std::string_view raw);

  bool empty() const { return text.empty(); }
  AlignedText slice(size_t begin, size_t end) const;
  void push(char32_t c, Source from);
  void push(std::string_view characters, Source from);
  /// Appends bytes [begin, end) of another text with their sources.
  void push(const AlignedText& other, size_t begin, size_t end);
  /// The union of the sources of bytes [begin, end).
  Source range(size_t begin, size_t end) const;
  /// Puts characters in front, which count as coming from the first character; an empty text stays empty.
  void prepend(std::string_view characters);
  /// The same behind the last character.
  void append(std::string_view characters);
};

/// Calls `f(character, source, out)` for every character and makes what it pushes to `out` the new text.
template <class F>
void rewrite_chars(AlignedText& text, F f) {
  AlignedText out;
  out.text.reserve(text.text.size());
  out.source.reserve(text.text.size());
  for (size_t i = 0; i < text.text.size();) {
    const AlignedText::Source from = text.source[i];
    f(next_char(text.text, i), from, out);
  }
  text = std::move(out);
}

}  // namespace tessera::text

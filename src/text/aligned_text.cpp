#include "text/aligned_text.h"

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace tessera::text {

AlignedText AlignedText::from(std::string_view raw) {
  if (raw.size() >= std::numeric_limits<uint32_t>::max()) throw Error("text of 4 GiB or more", "tokenizer", "split it");
  AlignedText out;
  out.text.reserve(raw.size());
  out.source.reserve(raw.size());
  for (size_t i = 0; i < raw.size();) {
    const Utf8Step step = utf8_step(raw, i);
    const Source from{static_cast<uint32_t>(i), static_cast<uint32_t>(i + step.length)};
    if (step.valid) {
      out.push(raw.substr(i, step.length), from);
    } else {
      out.push(kReplacement, from);
    }
    i += step.length;
  }
  return out;
}

AlignedText AlignedText::slice(size_t begin, size_t end) const {
  const auto at = [&](size_t i) { return source.begin() + static_cast<std::ptrdiff_t>(i); };
  return {text.substr(begin, end - begin), {at(begin), at(end)}};
}

void AlignedText::push(char32_t c, Source from) {
  append_char(text, c);
  source.resize(text.size(), from);
}

void AlignedText::push(std::string_view characters, Source from) {
  text.append(characters);
  source.resize(text.size(), from);
}

void AlignedText::push(const AlignedText& other, size_t begin, size_t end) {
  const auto at = [&](size_t i) { return other.source.begin() + static_cast<std::ptrdiff_t>(i); };
  text.append(other.text, begin, end - begin);
  source.insert(source.end(), at(begin), at(end));
}

AlignedText::Source AlignedText::range(size_t begin, size_t end) const {
  if (begin >= end || end > source.size()) return {};
  Source all = source[begin];
  for (size_t i = begin + 1; i < end; ++i) {
    all.begin = std::min(all.begin, source[i].begin);
    all.end = std::max(all.end, source[i].end);
  }
  return all;
}

void AlignedText::prepend(std::string_view characters) {
  if (empty()) return;
  text.insert(0, characters);
  source.insert(source.begin(), characters.size(), source.front());
}

void AlignedText::append(std::string_view characters) {
  if (empty()) return;
  push(characters, Source(source.back()));
}

}  // namespace tessera::text

#include "decode/characters.h"

#include <algorithm>
#include <string>

#include "text/utf8.h"

namespace tessera {
namespace {

constexpr uint32_t kLast = 0x10FFFF, kFirstSurrogate = 0xD800, kLastSurrogate = 0xDFFF;

/// A range whose characters have UTF-8 of one length that differs in a tail of free bytes is one chain of byte ranges;
/// another is cut until it is (Cox, "Regular Expression Matching in the Wild", 2010).
void read_range(Grammar& grammar, Grammar::Node from, uint32_t first, uint32_t last, Grammar::Node to) {
  for (const uint32_t border : {0x7Fu, 0x7FFu, 0xFFFFu})
    if (first <= border && last > border) {
      read_range(grammar, from, first, border, to);
      read_range(grammar, from, border + 1, last, to);
      return;
    }
  for (uint32_t bits = 6; bits <= 18; bits += 6) {
    const uint32_t tail = (1u << bits) - 1;
    if (last <= 0x7F || (first & ~tail) == (last & ~tail)) continue;
    if ((first & tail) != 0) {
      read_range(grammar, from, first, first | tail, to);
      read_range(grammar, from, (first | tail) + 1, last, to);
      return;
    }
    if ((last & tail) != tail) {
      read_range(grammar, from, first, (last & ~tail) - 1, to);
      read_range(grammar, from, last & ~tail, last, to);
      return;
    }
  }
  const std::string low = text::to_utf8(first), high = text::to_utf8(last);
  for (size_t i = 0; i < low.size(); ++i) {
    const Grammar::Node next = i + 1 == low.size() ? to : grammar.node();
    grammar.read(from, static_cast<uint8_t>(low[i]), static_cast<uint8_t>(high[i]), next);
    from = next;
  }
}

}  // namespace

Characters::Characters(std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end());
  for (const Range& range : ranges) {
    if (!ranges_.empty() && range.first <= ranges_.back().second + 1)
      ranges_.back().second = std::max(ranges_.back().second, range.second);
    else
      ranges_.push_back(range);
  }
}

bool Characters::contains(uint32_t character) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [&](const Range& range) { return range.first <= character && character <= range.second; });
}

Characters Characters::with(const Characters& other) const {
  std::vector<Range> all = ranges_;
  all.insert(all.end(), other.ranges_.begin(), other.ranges_.end());
  return Characters(std::move(all));
}

Characters Characters::complement() const {
  const Characters taken = with(Characters({{kFirstSurrogate, kLastSurrogate}}));
  std::vector<Range> rest;
  uint32_t next = 0;
  for (const auto& [first, last] : taken.ranges_) {
    if (first > next) rest.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= kLast) rest.emplace_back(next, kLast);
  return Characters(std::move(rest));
}

Characters Characters::without(const Characters& other) const { return complement().with(other).complement(); }

void read_utf8(Grammar& grammar, Grammar::Node from, const Characters& characters, Grammar::Node to) {
  for (const auto& [first, last] : characters.ranges()) read_range(grammar, from, first, last, to);
}

}  // namespace tessera

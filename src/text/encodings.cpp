#include "text/encodings.h"

#include <algorithm>

#include "core/error.h"

namespace tessera::text {
namespace {

int64_t length_of(const Encoding& encoding) { return static_cast<int64_t>(encoding.size()); }

template <class T>
void keep(std::vector<T>& values, size_t begin, size_t end) {
  values.erase(values.begin() + static_cast<std::ptrdiff_t>(end), values.end());
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(begin));
}

void shorten(Encoding& encoding, int64_t length, bool left) {
  const size_t size = encoding.size(), kept = std::min(size, static_cast<size_t>(std::max<int64_t>(length, 0)));
  const size_t begin = left ? size - kept : 0;
  keep(encoding.ids, begin, begin + kept);
  keep(encoding.type_ids, begin, begin + kept);
  keep(encoding.attention_mask, begin, begin + kept);
  keep(encoding.tokens, begin, begin + kept);
  keep(encoding.offsets, begin, begin + kept);
  keep(encoding.special, begin, begin + kept);
}

template <class T>
void fill(std::vector<T>& values, size_t count, const T& value, bool left) {
  values.insert(left ? values.begin() : values.end(), count, value);
}

// The shorter text keeps its tokens as long as both fit into halves.
void truncate_longest(std::vector<Encoding>& parts, const Truncation& options, int64_t room) {
  if (parts.size() == 1) return shorten(parts[0], room, options.left);
  const bool swapped = length_of(parts[0]) > length_of(parts[1]);
  int64_t less = length_of(parts[swapped ? 1 : 0]);
  int64_t more = less > room ? less : std::max(less, room - less);
  if (less + more > room) {
    less = room / 2;
    more = less + room % 2;
  }
  shorten(parts[swapped ? 1 : 0], less, options.left);
  shorten(parts[swapped ? 0 : 1], more, options.left);
}

}  // namespace

void push_special(Encoding& encoding, int64_t id, const std::string& token, int64_t type_id) {
  encoding.ids.push_back(id);
  encoding.type_ids.push_back(type_id);
  encoding.attention_mask.push_back(1);
  encoding.tokens.push_back(token);
  encoding.offsets.push_back({});
  encoding.special.push_back(true);
}

void append(Encoding& encoding, const Encoding& other) {
  const auto join = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  join(encoding.ids, other.ids);
  join(encoding.type_ids, other.type_ids);
  join(encoding.attention_mask, other.attention_mask);
  join(encoding.tokens, other.tokens);
  join(encoding.offsets, other.offsets);
  join(encoding.special, other.special);
}

void truncate(std::vector<Encoding>& parts, const Truncation& options, int64_t added) {
  const int64_t room = options.max_length - added;
  if (options.max_length < 0 || room < 0) {
    throw Error("max_length " + std::to_string(options.max_length) + " leaves no room for the " +
                    std::to_string(added) + " special tokens",
                "truncation");
  }
  int64_t total = 0;
  for (const Encoding& part : parts) total += length_of(part);
  if (total <= room) return;
  if (options.strategy == TruncationStrategy::LongestFirst || room == 0) {
    if (room == 0) {
      for (Encoding& part : parts) shorten(part, 0, options.left);
      return;
    }
    return truncate_longest(parts, options, room);
  }
  const size_t target = options.strategy == TruncationStrategy::OnlyFirst ? 0 : 1;
  if (target >= parts.size()) throw Error("only the second text is to be truncated, but there is one", "truncation");
  const int64_t left = length_of(parts[target]) - (total - room);
  if (left <= 0) throw Error("the text to truncate is too short for max_length", "truncation", "use longest_first");
  shorten(parts[target], left, options.left);
}

int64_t padded_length(const std::vector<Encoding>& encodings, const Padding& options) {
  int64_t length = options.length;
  if (length <= 0) {
    length = 0;
    for (const Encoding& encoding : encodings) length = std::max(length, length_of(encoding));
  }
  if (options.multiple_of > 0) length = (length + options.multiple_of - 1) / options.multiple_of * options.multiple_of;
  return length;
}

void pad(Encoding& encoding, const Padding& options, int64_t length) {
  const int64_t missing = length - length_of(encoding);
  if (missing <= 0) return;
  const auto count = static_cast<size_t>(missing);
  fill(encoding.ids, count, options.id, options.left);
  fill(encoding.type_ids, count, options.type_id, options.left);
  fill(encoding.attention_mask, count, int64_t{0}, options.left);
  fill(encoding.tokens, count, options.token, options.left);
  fill(encoding.offsets, count, TextSpan{}, options.left);
  fill(encoding.special, count, true, options.left);
}

}  // namespace tessera::text

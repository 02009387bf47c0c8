#include "text/charsmap.h"

#include "core/error.h"
#include "text/utf8.h"

namespace tessera::text {
namespace {

uint32_t read_uint32(std::string_view bytes, size_t at) {
  const auto byte = [&](size_t k) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + k])); };
  return byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
}

constexpr uint32_t kLeaf = 1U << 31;

uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); }
bool key_ends(uint32_t unit) { return ((unit >> 8) & 1) != 0; }

}  // namespace

Charsmap::Charsmap(const std::string& bytes, const std::string& where) {
  if (bytes.empty()) return;
  if (bytes.size() < 4) throw Error("charsmap is too short", where);
  const size_t size = read_uint32(bytes, 0);
  if (size % 4 != 0 || size > bytes.size() - 4) throw Error("charsmap is shorter than its trie", where);
  for (size_t at = 0; at < size; at += 4) units_.push_back(read_uint32(bytes, 4 + at));
  replacements_ = bytes.substr(4 + size);
  if (!is_valid_utf8(replacements_)) throw Error("charsmap holds text that is not UTF-8", where);
}

std::optional<Charsmap::Rule> Charsmap::rule(size_t length, size_t offset) const {
  if (offset > replacements_.size()) return std::nullopt;
  const char* replacement = replacements_.c_str() + offset;
  if ((static_cast<unsigned char>(*replacement) & 0xC0) == 0x80) return std::nullopt;  // the middle of a character
  return Rule{length, replacement};
}

std::optional<Charsmap::Rule> Charsmap::find(std::string_view text, bool longest) const {
  std::optional<Rule> found;
  if (units_.empty()) return found;
  size_t position = offset_of(units_[0]);
  for (size_t depth = 0; depth < text.size(); ++depth) {
    const auto label = static_cast<unsigned char>(text[depth]);
    position ^= label;
    if (label == 0 || position >= units_.size()) break;
    const uint32_t unit = units_[position];
    if ((unit & (kLeaf | 0xFF)) != label) break;
    position ^= offset_of(unit);
    if (position >= units_.size()) break;
    if (!key_ends(unit)) continue;
    if (const auto matched = rule(depth + 1, units_[position] & ~kLeaf)) found = matched;
    if (!longest) break;
  }
  return found;
}

}  // namespace tessera::text

#include "data/codepoints.h"

#include <charconv>
#include <vector>

#include "core/error.h"

namespace tessera {
namespace {

constexpr uint32_t kVariationSelector = 0xFE0F;
constexpr uint32_t kLargest = 0x10FFFF;

bool is_skin_tone(uint32_t point) { return point >= 0x1F3FB && point <= 0x1F3FF; }

std::string join(const std::vector<uint32_t>& points) {
  std::string id;
  for (const uint32_t point : points) {
    if (point == kVariationSelector) continue;
    char digits[8];
    const auto end = std::to_chars(digits, digits + sizeof digits, point, 16).ptr;
    if (!id.empty()) id += '-';
    id.append(digits, end);
  }
  return id;
}

/// False when a part is no hexadecimal number of a code point.
bool split(std::string_view hex, std::vector<uint32_t>& points) {
  while (!hex.empty()) {
    const size_t end = std::min(hex.find_first_of("-_ "), hex.size());
    uint32_t point = 0;
    const auto [stop, error] = std::from_chars(hex.data(), hex.data() + end, point, 16);
    if (error != std::errc() || stop != hex.data() + end || point > kLargest) return false;
    points.push_back(point);
    hex.remove_prefix(std::min(end + 1, hex.size()));
  }
  return true;
}

/// The code point at the front of `text`, which is shortened by it.
uint32_t next_point(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  const size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  if (length == 0 || text.size() < length) throw Error("is not UTF-8", "symbol");
  uint32_t point = length == 1 ? first : first & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if (next >> 6 != 2) throw Error("is not UTF-8", "symbol");
    point = point << 6 | (next & 0x3Fu);
  }
  text.remove_prefix(length);
  return point;
}

void append_utf8(std::string& text, uint32_t point) {
  const auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
  const auto tail = [&](int shift) { put(0x80 | (point >> shift & 0x3F)); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6), tail(0);
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12), tail(6), tail(0);
  } else {
    put(0xF0 | point >> 18), tail(12), tail(6), tail(0);
  }
}

std::vector<uint32_t> points_of(std::string_view id) {
  std::vector<uint32_t> points;
  if (!split(id, points)) throw Error("'" + std::string(id) + "' is no sequence of code points", "symbol");
  return points;
}

}  // namespace

std::string symbol_id(std::string_view hex) {
  if (hex.starts_with("u") || hex.starts_with("U")) hex.remove_prefix(hex.size() > 1 && hex[1] == '+' ? 2 : 1);
  std::vector<uint32_t> points;
  return split(hex, points) ? join(points) : "";
}

std::string symbol_id_of_text(std::string_view utf8) {
  std::vector<uint32_t> points;
  while (!utf8.empty()) points.push_back(next_point(utf8));
  return join(points);
}

std::string symbol_text(std::string_view id) {
  std::string text;
  for (const uint32_t point : points_of(id)) append_utf8(text, point);
  return text;
}

bool has_skin_tone(std::string_view id) { return without_skin_tone(id) != id; }

std::string without_skin_tone(std::string_view id) {
  std::vector<uint32_t> points = points_of(id), kept;
  for (size_t i = 0; i < points.size(); ++i)
    if (i == 0 || !is_skin_tone(points[i])) kept.push_back(points[i]);
  return join(kept);
}

uint64_t fnv1a64(std::string_view bytes) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
  return hash;
}

bool is_unseen(std::string_view id) { return fnv1a64(id) % 10 == 0; }

}  // namespace tessera

#include "data/tar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "core/error.h"

namespace tessera {
namespace {

constexpr size_t kBlock = 512;
constexpr uint64_t kLargestSpecial = 1 << 20;     // a long name or a list of pax records
constexpr uint64_t kLargest = uint64_t{1} << 40;  // of a member
constexpr const char* kRemedy = "the file is damaged or incomplete; make or fetch it again";

uint64_t padded(uint64_t size) { return (size + kBlock - 1) / kBlock * kBlock; }

std::string_view field(const char* block, size_t offset, size_t length) {
  return {block + offset, strnlen(block + offset, length)};
}

/// Octal text, or big-endian binary marked by the first bit, as GNU tar writes what does not fit. False when neither.
bool parse_number(const char* at, size_t length, uint64_t& value) {
  value = 0;
  if (static_cast<unsigned char>(*at) & 0x80) {
    for (size_t i = 1; i < length; ++i) {
      if (value >> 55) return false;
      value = value << 8 | static_cast<unsigned char>(at[i]);
    }
    return true;
  }
  std::string_view text(at, strnlen(at, length));
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  return text.empty() || (error == std::errc() && end == text.data() + text.size());
}

/// The sum of all bytes, those of the checksum itself counted as spaces.
uint64_t checksum(const char* block) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  return sum;
}

/// The value of a pax record ("LENGTH key=value\n"); empty when it is not there.
std::string pax_value(std::string_view records, std::string_view key) {
  std::string found;
  while (!records.empty()) {
    size_t length = 0;
    const auto [end, error] = std::from_chars(records.data(), records.data() + records.size(), length);
    if (error != std::errc() || length == 0 || length > records.size()) break;
    std::string_view record = records.substr(0, length);
    records.remove_prefix(length);
    record.remove_prefix(std::min(record.size(), static_cast<size_t>(end - record.data()) + 1));
    if (record.size() > key.size() && record.starts_with(key) && record[key.size()] == '=')
      found = std::string(record.substr(key.size() + 1, record.size() - key.size() - 2));
  }
  return found;
}

}  // namespace

TarWalker::TarWalker(std::function<size_t(char*, size_t)> read, std::function<bool(uint64_t)> skip, std::string where)
    : read_(std::move(read)), skip_(std::move(skip)), where_(std::move(where)) {}

void TarWalker::fail(const std::string& what) const {
  const std::string after = member_.empty() ? "" : " (last member: " + member_ + ")";
  throw Error(what + " at byte " + std::to_string(position_) + after, where_, kRemedy);
}

TarWalker::Header TarWalker::parse(const char* block) const {
  Header header;
  uint64_t sum = 0;
  if (!parse_number(block + 148, 8, sum) || sum != checksum(block)) fail("is no tar: wrong checksum of a header");
  if (!parse_number(block + 124, 12, header.size) || header.size > kLargest) fail("has a member of impossible size");
  header.name = field(block, 0, 100);
  const bool ustar = std::memcmp(block + 257, "ustar\0", 6) == 0;
  if (const auto prefix = field(block, 345, 155); ustar && !prefix.empty())
    header.name = std::string(prefix) + "/" + header.name;
  header.type = block[156];
  return header;
}

/// Whether the block is the first of the end mark, of which the second is then consumed.
bool TarWalker::is_end(const char* block) {
  const auto zero = [](char byte) { return byte == 0; };
  if (!std::all_of(block, block + kBlock, zero)) return false;
  std::array<char, kBlock> second;
  if (read_(second.data(), kBlock) != kBlock || !std::all_of(second.begin(), second.end(), zero))
    fail("ends within its end mark");
  return true;
}

bool TarWalker::read_header(Header& header) {
  std::array<char, kBlock> block;
  const size_t count = read_(block.data(), kBlock);
  if (count == 0) fail("ends without an end mark");
  if (count < kBlock) fail("ends within a header");
  position_ += kBlock;
  if (is_end(block.data())) return false;
  position_ -= kBlock;  // damage in the header is reported where the header begins
  header = parse(block.data());
  position_ += kBlock;
  return true;
}

std::string TarWalker::read_body(uint64_t size) {
  std::string body;
  // In steps, so that a false size in a short file is found before it is allocated.
  for (uint64_t left = padded(size); left > 0;) {
    const auto step = static_cast<size_t>(std::min<uint64_t>(left, 1 << 20));
    const size_t before = body.size();
    body.resize(before + step);
    const size_t count = read_(body.data() + before, step);
    position_ += count;
    if (count < step) fail("ends within a member");
    left -= step;
  }
  body.resize(static_cast<size_t>(size));
  return body;
}

void TarWalker::skip_body(uint64_t size) {
  if (!skip_(padded(size))) fail("ends within a member");
  position_ += padded(size);
}

bool TarWalker::next(TarEntry& entry) {
  if (has_body_) skip_body(unread_);
  has_body_ = false;
  std::string long_name, long_size;
  for (Header header; read_header(header);) {
    if (header.type == 'L' || header.type == 'x') {
      if (header.size > kLargestSpecial) fail("has a member name of impossible size");
      const std::string body = read_body(header.size);
      if (header.type == 'L') long_name = body.c_str();
      if (std::string path = pax_value(body, "path"); header.type == 'x' && !path.empty()) long_name = path;
      if (header.type == 'x') long_size = pax_value(body, "size");
      continue;
    }
    if (!long_name.empty()) header.name = long_name;
    if (!long_size.empty() &&
        (std::from_chars(long_size.data(), long_size.data() + long_size.size(), header.size).ec != std::errc() ||
         header.size > kLargest))
      fail("has a member of impossible size");
    long_name.clear(), long_size.clear();
    member_ = header.name;
    if (header.type == '0' || header.type == '\0') {
      entry = {header.name, position_, header.size};
      unread_ = header.size;
      has_body_ = true;
      return true;
    }
    skip_body(header.size);
  }
  return false;
}

std::string TarWalker::read() {
  has_body_ = false;
  return read_body(unread_);
}

std::vector<TarEntry> index_tar(std::string_view tar, const std::string& where) {
  size_t at = 0;
  const auto read = [&](char* buffer, size_t count) {
    const size_t copied = tar.copy(buffer, count, at);
    at += copied;
    return copied;
  };
  const auto skip = [&](uint64_t count) {
    if (count > tar.size() - at) return false;
    at += static_cast<size_t>(count);
    return true;
  };
  TarWalker walker(read, skip, where);
  std::vector<TarEntry> entries;
  for (TarEntry entry; walker.next(entry);) entries.push_back(entry);
  return entries;
}

}  // namespace tessera

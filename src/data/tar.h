#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

/// A regular file in a tar.
struct TarEntry {
  std::string name;
  uint64_t offset = 0;  ///< of its bytes, from the start of the tar
  uint64_t size = 0;
};

/// Walks through a tar from front to back: ustar, and the long names and sizes of GNU tar and pax. Folders and links
/// are passed over. Damage is an Error that names the tar, the byte and the member: a wrong checksum, an end within a
/// member, a missing end mark (two blocks of zeros), which is how a transfer that broke off between members shows.
class TarWalker {
 public:
  /// @param read  fills a buffer, returns fewer bytes than asked for only at the end
  /// @param skip  passes over bytes; false when there are fewer
  TarWalker(std::function<size_t(char*, size_t)> read, std::function<bool(uint64_t)> skip, std::string where);

  /// Advances to the next regular file; false at the end mark.
  bool next(TarEntry& entry);
  /// The bytes of the entry that next() gave, once. What is not read is skipped.
  std::string read();

 private:
  struct Header {
    std::string name;
    uint64_t size = 0;
    char type = '0';
  };
  bool read_header(Header& header);
  bool is_end(const char* block);
  Header parse(const char* block) const;
  std::string read_body(uint64_t size);
  void skip_body(uint64_t size);
  [[noreturn]] void fail(const std::string& what) const;

  std::function<size_t(char*, size_t)> read_;
  std::function<bool(uint64_t)> skip_;
  std::string where_;
  std::string member_;     ///< the last one, for messages
  uint64_t position_ = 0;  ///< bytes consumed
  uint64_t unread_ = 0;    ///< bytes of the current entry that are still ahead
  bool has_body_ = false;
};

/// All regular files of a tar in memory (or mapped). @throws Error
std::vector<TarEntry> index_tar(std::string_view tar, const std::string& where);

}  // namespace tessera

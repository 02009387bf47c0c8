#pragma once
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace tessera {

/// @throws Error when the file cannot be read
std::string read_file(const std::filesystem::path& path);

/// @throws Error with line and column when the file is not JSON
nlohmann::json read_json(const std::filesystem::path& path);
nlohmann::json parse_json(std::string_view text, const std::string& where);

/// A file that appears under its name only when all of it was written: bytes go to a temporary name in the same folder,
/// and commit() syncs and renames it. Destroyed without commit(), it leaves nothing.
class AtomicFile {
 public:
  /// Missing parent folders are made. @throws Error when the folder cannot be written
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// @throws Error when the device is full or fails
  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  [[noreturn]] void fail(const std::string& what) const;
  std::filesystem::path path_, temporary_;
  int file_ = -1;
};

/// Writes a whole file by AtomicFile.
void write_file(const std::filesystem::path& path, std::string_view text);

/// A file mapped into memory; the pages are shared between processes, read when touched, and copied when written to:
/// the file never changes.
class MappedFile {
 public:
  /// @throws Error when the file cannot be opened or mapped
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace tessera

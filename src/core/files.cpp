#include "core/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace tessera {
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  if (fs::is_directory(path)) throw Error("is a folder, a file is needed", path.string());
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(std::string("cannot be opened: ") + std::strerror(errno), path.string());
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad()) throw Error("cannot be read", path.string());
  return text;
}

nlohmann::json parse_json(std::string_view text, const std::string& where) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    std::string why = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 5: ..."
    if (const size_t end = why.find("] "); end != std::string::npos) why = why.substr(end + 2);
    throw Error("is not valid JSON: " + why, where);
  }
}

nlohmann::json read_json(const fs::path& path) { return parse_json(read_file(path), path.string()); }

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  std::error_code error;
  if (path_.has_parent_path()) fs::create_directories(path_.parent_path(), error);
  std::string name = path_.string() + ".tmp.XXXXXX";
  file_ = ::mkstemp(name.data());
  if (file_ < 0) throw Error(std::string("cannot be written: ") + std::strerror(errno), path_.string());
  temporary_ = name;
}

AtomicFile::~AtomicFile() {
  if (file_ < 0) return;
  ::close(file_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const std::string& what) const {
  throw Error(what + ": " + std::strerror(errno), path_.string(), "the file is left as it was");
}

void AtomicFile::write(const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(file_, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("cannot be written");
    at += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(file_) != 0 && errno != EINVAL) fail("cannot be written");
  ::fchmod(file_, 0644);  // mkstemp makes files that only their owner reads
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be renamed into place");
  ::close(file_);
  file_ = -1;
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

MappedFile::MappedFile(const fs::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (file < 0 || ::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    const std::string why = file < 0 ? std::strerror(errno) : "it is not a regular file";
    if (file >= 0) ::close(file);
    throw Error("cannot be opened: " + why, path.string());
  }
  size_ = static_cast<size_t>(info.st_size);
  // Private and writable: what is written to becomes a copy of its page, and the file stays as it is.
  void* memory = size_ ? ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0) : nullptr;
  const int why = errno;
  ::close(file);
  if (memory == MAP_FAILED) throw Error(std::string("cannot be mapped: ") + std::strerror(why), path.string());
  data_ = static_cast<const std::byte*>(memory);
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace tessera

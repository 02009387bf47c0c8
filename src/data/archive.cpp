#include "data/archive.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "core/error.h"

namespace tessera {
namespace {

constexpr int64_t kMemberLimit = int64_t{1} << 30;
constexpr const char* kRemedy = "the file is damaged or incomplete; fetch it again";

struct FreeReader {
  void operator()(archive* reader) const { archive_read_free(reader); }
};
struct FreeWriter {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using Reader = std::unique_ptr<archive, FreeReader>;

std::string message(archive* reader) {
  const char* text = archive_error_string(reader);
  return text ? text : "unknown damage";
}

void open(archive* reader, const std::filesystem::path& path) {
  if (archive_read_open_filename(reader, path.c_str(), 1 << 16) == ARCHIVE_OK) return;
  throw Error("cannot be opened: " + message(reader), path.string());
}

/// All data of the current entry.
std::string read_entry(archive* reader, size_t limit, const std::string& where) {
  std::string bytes, buffer(1 << 16, '\0');
  for (;;) {
    const la_ssize_t count = archive_read_data(reader, buffer.data(), buffer.size());
    if (count == 0) return bytes;
    if (count < 0) throw Error("cannot be unpacked: " + message(reader), where, kRemedy);
    if (bytes.size() + static_cast<size_t>(count) > limit) throw Error("holds too much data", where);
    bytes.append(buffer.data(), static_cast<size_t>(count));
  }
}

using Wanted = std::function<bool(const std::string&)>;
using Visit = std::function<void(const std::string&, std::string)>;

void visit_members(archive* reader, const std::string& where, const Wanted& wanted, const Visit& visit) {
  for (;;) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(reader, &entry);
    if (status == ARCHIVE_EOF) return;
    if (status != ARCHIVE_OK) throw Error("is no sound archive: " + message(reader), where, kRemedy);
    const char* name = archive_entry_pathname(entry);
    if (!name || archive_entry_filetype(entry) != AE_IFREG || !wanted(name)) continue;
    const std::string member = name;
    if (archive_entry_size(entry) > kMemberLimit) throw Error("member is too large", where + ": " + member);
    visit(member, read_entry(reader, kMemberLimit, where + ": " + member));
  }
}

Reader tar_reader() {
  Reader reader(archive_read_new());
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_tar(reader.get());
  return reader;
}

}  // namespace

void visit_archive(const std::filesystem::path& path, const Wanted& wanted, const Visit& visit) {
  const Reader reader = tar_reader();
  open(reader.get(), path);
  visit_members(reader.get(), path.string(), wanted, visit);
}

void visit_debian_package(const std::filesystem::path& path, const Wanted& wanted, const Visit& visit) {
  const Reader package(archive_read_new());
  archive_read_support_format_ar(package.get());
  open(package.get(), path);
  const auto is_data = [](const std::string& name) { return name.starts_with("data.tar"); };
  visit_members(package.get(), path.string(), is_data, [&](const std::string& name, const std::string& bytes) {
    const std::string where = path.string() + ": " + name;
    const Reader reader = tar_reader();
    if (archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) != ARCHIVE_OK)
      throw Error("cannot be opened: " + message(reader.get()), where, kRemedy);
    visit_members(reader.get(), where, wanted, visit);
  });
}

std::string read_decompressed(const std::filesystem::path& path, size_t limit) {
  const Reader reader(archive_read_new());
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  open(reader.get(), path);
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(reader.get(), &entry);
  if (status == ARCHIVE_EOF) return "";
  if (status != ARCHIVE_OK) throw Error("cannot be read: " + message(reader.get()), path.string(), kRemedy);
  return read_entry(reader.get(), limit, path.string());
}

std::string make_tar(const std::vector<TarMember>& members) {
  size_t size = 2 * 10240;
  for (const TarMember& member : members) size += 1024 + member.bytes.size();
  std::string tar(size, '\0');
  const std::unique_ptr<archive, FreeWriter> writer(archive_write_new());
  archive_write_set_format_ustar(writer.get());
  size_t used = 0;
  if (archive_write_open_memory(writer.get(), tar.data(), tar.size(), &used) != ARCHIVE_OK)
    throw Error("cannot be written: " + message(writer.get()), "tar");
  const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
  for (const TarMember& member : members) {
    archive_entry_clear(entry.get());
    archive_entry_set_pathname(entry.get(), member.name.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(member.bytes.size()));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_mtime(entry.get(), 0, 0);
    const bool written = archive_write_header(writer.get(), entry.get()) == ARCHIVE_OK &&
                         archive_write_data(writer.get(), member.bytes.data(), member.bytes.size()) ==
                             static_cast<la_ssize_t>(member.bytes.size());
    if (!written) throw Error("cannot be written: " + message(writer.get()), "tar: " + member.name);
  }
  if (archive_write_close(writer.get()) != ARCHIVE_OK)
    throw Error("cannot be written: " + message(writer.get()), "tar");
  tar.resize(used);
  return tar;
}

}  // namespace tessera

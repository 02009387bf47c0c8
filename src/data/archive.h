#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

/// Calls `visit` with the path and the bytes of each regular file of an archive (tar, compressed or not), in its order.
/// Members for which `wanted` is false are skipped without being read.
/// @throws Error when the archive is damaged or ends early, or a member is larger than 1 GiB
void visit_archive(const std::filesystem::path& path, const std::function<bool(const std::string&)>& wanted,
                   const std::function<void(const std::string&, std::string)>& visit);

/// The same for the files that a Debian package installs; their paths begin with "./".
void visit_debian_package(const std::filesystem::path& path, const std::function<bool(const std::string&)>& wanted,
                          const std::function<void(const std::string&, std::string)>& visit);

/// The content of a file, decompressed where it is gzip, bzip2, xz or zstd.
/// @throws Error when the compressed stream is damaged or ends early, or holds more than `limit` bytes
std::string read_decompressed(const std::filesystem::path& path, size_t limit = size_t{4} << 30);

struct TarMember {
  std::string name, bytes;
};

/// A tar (ustar) of the members in the given order. The same members give the same bytes: owner, mode and time are
/// fixed.
std::string make_tar(const std::vector<TarMember>& members);

}  // namespace tessera

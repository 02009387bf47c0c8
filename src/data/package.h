#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace tessera {

/// An npm package as `npm pack` leaves it: chosen members of its tarball, in memory.
class Package {
 public:
  /// Reads package.json and the members that `wanted` names; paths are given without the leading "package/".
  /// @throws Error when the tarball is damaged or is no npm package
  Package(const std::filesystem::path& tarball, const std::function<bool(const std::string&)>& wanted);

  const std::string& name() const { return name_; }        ///< "@iconify-json/noto"
  const std::string& version() const { return version_; }  ///< "1.2.9"
  const std::string& licence() const { return licence_; }  ///< as package.json states it, e.g. "Apache-2.0"
  std::string source() const { return name_ + "@" + version_; }

  bool has(const std::string& member) const { return members_.contains(member); }
  /// @throws Error when the member is missing or is not JSON
  nlohmann::json json(const std::string& member) const;
  /// The first member whose path ends like this. @throws Error when there is none
  const std::string& bytes(const std::string& ending) const;

 private:
  std::string where_, name_, version_, licence_;
  std::map<std::string, std::string> members_;
};

/// The tarball of a package in the folder that scripts/fetch-data fills: "@iconify-json/noto" is
/// iconify-json-noto-VERSION.tgz. @throws Error when there is none, or more than one version
std::filesystem::path find_tarball(const std::filesystem::path& folder, const std::string& package);

/// The same for a Debian package: "openclipart-svg" is openclipart-svg_VERSION_all.deb.
std::filesystem::path find_debian_package(const std::filesystem::path& folder, const std::string& package);

}  // namespace tessera

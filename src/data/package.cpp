#include "data/package.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "core/files.h"
#include "data/archive.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// npm puts all members below one folder, mostly "package/"; some publishers name it otherwise.
std::string without_top_folder(const std::string& path) {
  const size_t slash = path.find('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string text_field(const nlohmann::json& json, const char* key, const std::string& where) {
  if (!json.is_object() || !json.contains(key) || !json.at(key).is_string())
    throw Error(std::string("has no text field '") + key + "'", where + ": package.json", "is this an npm package?");
  return json.at(key).get<std::string>();
}

/// The one file that is called STEM VERSION ENDING.
fs::path find_version(const fs::path& folder, const std::string& package, const std::string& stem,
                      const std::string& ending) {
  if (!fs::is_directory(folder))
    throw Error("is no folder", folder.string(), "fetch the packages with scripts/fetch-data");
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    const bool version_follows = file.starts_with(stem) && file.size() > stem.size() &&
                                 std::isdigit(static_cast<unsigned char>(file[stem.size()]));
    if (version_follows && file.ends_with(ending)) found.push_back(entry.path());
  }
  if (found.empty()) throw Error("has no file of " + package, folder.string(), "run scripts/fetch-data " + package);
  if (found.size() > 1)
    throw Error("holds several versions of " + package, folder.string(), "remove all but the one that you want");
  return found.front();
}

}  // namespace

Package::Package(const fs::path& tarball, const std::function<bool(const std::string&)>& wanted)
    : where_(tarball.string()) {
  visit_archive(
      tarball,
      [&](const std::string& path) {
        const std::string member = without_top_folder(path);
        return member == "package.json" || wanted(member);
      },
      [&](const std::string& path, std::string bytes) { members_[without_top_folder(path)] = std::move(bytes); });
  const nlohmann::json manifest = json("package.json");
  name_ = text_field(manifest, "name", where_);
  version_ = text_field(manifest, "version", where_);
  licence_ = manifest.value("license", "");
}

nlohmann::json Package::json(const std::string& member) const {
  const auto found = members_.find(member);
  if (found == members_.end()) throw Error("has no member " + member, where_, "fetch it again with scripts/fetch-data");
  return parse_json(found->second, where_ + ": " + member);
}

const std::string& Package::bytes(const std::string& ending) const {
  for (const auto& [member, content] : members_)
    if (member.ends_with(ending)) return content;
  throw Error("has no member that ends in " + ending, where_, "fetch it again with scripts/fetch-data");
}

fs::path find_tarball(const fs::path& folder, const std::string& package) {
  std::string stem = package;
  if (stem.starts_with("@")) stem.erase(0, 1);
  std::replace(stem.begin(), stem.end(), '/', '-');
  return find_version(folder, package, stem + "-", ".tgz");
}

fs::path find_debian_package(const fs::path& folder, const std::string& package) {
  return find_version(folder, package, package + "_", ".deb");
}

}  // namespace tessera

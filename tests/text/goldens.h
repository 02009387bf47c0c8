#pragma once
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tessera::testing {

/// The folders of recorded tokenizers: those in the repository, or the full set beside it.
inline std::vector<std::filesystem::path> tokenizer_goldens() {
  namespace fs = std::filesystem;
  std::vector<fs::path> found;
  for (const fs::path& root : {fs::path(TESSERA_SOURCE_DIR) / "tests/goldens/tokenizers",
                               fs::path(TESSERA_SOURCE_DIR).parent_path() / "shared/goldens/tokenizers"}) {
    if (!fs::is_directory(root)) continue;
    for (const auto& entry : fs::directory_iterator(root)) {
      if (fs::exists(entry.path() / "cases.json")) found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// The recorded tokenizer of this name, or an empty path.
inline std::filesystem::path tokenizer_golden(const std::string& name) {
  for (const auto& folder : tokenizer_goldens()) {
    if (folder.filename() == name) return folder;
  }
  return {};
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The recorded cases of a kind ("single" or "pair"); null where there are none.
inline nlohmann::json read_cases(const std::filesystem::path& folder, const std::string& kind) {
  return nlohmann::json::parse(read_bytes(folder / "cases.json")).value(kind, nlohmann::json());
}

}  // namespace tessera::testing

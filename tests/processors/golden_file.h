#pragma once
#include <torch/types.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace tessera::testing {

/// The folder of an image processor's golden, or empty where neither this checkout nor what lies beside it has it.
inline std::filesystem::path golden_folder(const std::string& variant) {
  const std::filesystem::path root = TESSERA_SOURCE_DIR;
  for (const auto& folder : {root / "tests/goldens/image-processing", root / "../shared/goldens/image-processing"}) {
    if (std::filesystem::exists(folder / variant / "golden.json")) return folder / variant;
  }
  return {};
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file);
}

/// The tensors of a safetensors file that we trust.
inline std::map<std::string, torch::Tensor> read_tensors(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const auto type = entry["dtype"] == "F32" ? torch::kFloat32 : torch::kInt64;
    torch::Tensor tensor = torch::empty(entry["shape"].get<std::vector<int64_t>>(), type);
    std::memcpy(tensor.data_ptr(), bytes.data() + 8 + length + entry["data_offsets"][0].get<uint64_t>(),
                tensor.nbytes());
    tensors[name] = tensor;
  }
  return tensors;
}

}  // namespace tessera::testing

#pragma once
#include <torch/types.h>

#include <filesystem>

namespace tessera {

/// Writes one array for NumPy: format version 1.0, C order, float32 or int64, little-endian, by a temporary name.
/// @throws Error for another dtype, or when the file cannot be written
void save_npy(const std::filesystem::path& path, const torch::Tensor& tensor);

/// Reads what save_npy writes, and the same of NumPy (C order, '<f4' or '<i8', versions 1.0 to 3.0).
/// @throws Error for anything else, with what the file holds
torch::Tensor load_npy(const std::filesystem::path& path);

}  // namespace tessera

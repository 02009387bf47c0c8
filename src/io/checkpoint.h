#pragma once
#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tessera {

/// What a checkpoint says of one tensor, known without touching its data.
struct TensorInfo {
  torch::ScalarType dtype;      ///< Undefined where LibTorch has no such type (`dtype_name` says which it is)
  std::vector<int64_t> shape;   ///< empty for a scalar
  std::string dtype_name;       ///< as the file spells it: "F32", "BF16", "F8_E4M3", ...
  size_t bytes = 0;             ///< size of the data
  size_t shard = 0, begin = 0;  ///< which file of the checkpoint, and the byte of that file where the data begins
};

/// Tensors in safetensors files, single or sharded, memory-mapped. A copy shares the mapping.
///
/// Opening reads the headers alone, checks them wholly (see safetensors_header.h) and touches no data.
/// Reference: https://github.com/huggingface/safetensors, format 0.x.
class Checkpoint {
 public:
  /// @param path  a .safetensors file, an *.index.json, or a folder with model.safetensors,
  ///              model.safetensors.index.json, open_clip_model.safetensors, exactly one *.safetensors.index.json or
  ///              exactly one *.safetensors, looked for in that order
  /// @throws Error naming the file, and the tensor where one is to blame
  static Checkpoint open(const std::filesystem::path& path);

  const std::map<std::string, TensorInfo>& tensors() const;
  bool has(const std::string& name) const;

  /// The tensor as it lies in the mapping: no copy, kept alive by the mapping, not to be written to (the pages are
  /// read-only; clone() it first). Data that is not aligned for its type is copied.
  /// @throws Error when there is no such tensor, or when LibTorch has no such dtype
  torch::Tensor tensor(const std::string& name) const;

  /// The "__metadata__" of the file; of a sharded checkpoint, of all its shards together (the first to name a key
  /// wins).
  const std::map<std::string, std::string>& metadata() const;

  /// What was opened: the file, or the index.
  const std::filesystem::path& path() const;

 private:
  struct Contents;
  std::shared_ptr<const Contents> contents_;
};

/// Reads every floating-point tensor once.
/// @throws Error naming the first tensor, by name, that holds NaN or infinity
void check_finite(const Checkpoint& checkpoint);

/// Writes tensors in the given order, packed without gaps, so that what was read in file order is written to the same
/// bytes. More than `shard_bytes` of data go to model-00001-of-0000N.safetensors and so on, with
/// model.safetensors.index.json beside them; a single tensor is never split. Every file has a temporary name until all
/// are complete, so that a failure leaves none.
///
/// @param file_or_folder  a name that ends in .safetensors is the file, and what its shards are named after; anything
///                        else is a folder, which is made, and gets model.safetensors
/// @throws Error for a name that occurs twice, a dtype that safetensors has no word for, a full disk
void save_checkpoint(const std::filesystem::path& file_or_folder,
                     const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                     const std::map<std::string, std::string>& metadata = {{"format", "pt"}},
                     size_t shard_bytes = 5'000'000'000);

}  // namespace tessera

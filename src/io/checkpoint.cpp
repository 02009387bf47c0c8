#include "io/checkpoint.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "io/safetensors_dtype.h"
#include "io/safetensors_header.h"

static_assert(std::endian::native == std::endian::little, "safetensors are mapped as they lie: little-endian");

namespace tessera {
namespace fs = std::filesystem;

struct Checkpoint::Contents {
  fs::path path;
  std::vector<fs::path> files;
  std::vector<std::shared_ptr<const MappedFile>> shards;
  std::map<std::string, TensorInfo> tensors;
  std::map<std::string, std::string> metadata;

  void add_shard(const fs::path& file);
  void add_index(const fs::path& index);
};

namespace {

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

/// Names of the files in a folder, sorted.
std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  try {
    for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  } catch (const fs::filesystem_error& error) {
    throw Error("cannot be listed: " + error.code().message(), folder.string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> ending_in(const std::vector<std::string>& names, const std::string& end) {
  std::vector<std::string> matching;
  for (const auto& name : names) {
    if (name.ends_with(end)) matching.push_back(name);
  }
  return matching;
}

[[noreturn]] void refuse_folder(const fs::path& folder, const std::vector<std::string>& names) {
  const std::vector<std::string> found = ending_in(names, ".safetensors");
  if (found.size() > 1) {
    throw Error("holds " + std::to_string(found.size()) + " safetensors files (" + found[0] + ", " + found[1] +
                    (found.size() > 2 ? ", ...)" : ")") + " and no index",
                folder.string(), "name the file, or fetch the model.safetensors.index.json");
  }
  for (const char* end : {".bin", ".pt", ".pth", ".ckpt"}) {
    if (const auto pickles = ending_in(names, end); !pickles.empty()) {
      throw Error("holds no safetensors, only " + pickles[0], folder.string(),
                  "convert it to safetensors, or fetch the safetensors of the same model");
    }
  }
  throw Error("holds no safetensors", folder.string(), "give a folder with model.safetensors");
}

fs::path find_in_folder(const fs::path& folder) {
  for (const char* name : {"model.safetensors", "model.safetensors.index.json", "open_clip_model.safetensors"}) {
    if (is_there(folder / name)) return folder / name;
  }
  const std::vector<std::string> names = file_names(folder);
  for (const char* end : {".safetensors.index.json", ".safetensors"}) {
    if (const auto found = ending_in(names, end); found.size() == 1) return folder / found[0];
  }
  refuse_folder(folder, names);
}

/// The file that the user's path stands for.
fs::path find(const fs::path& path) {
  if (is_folder(path)) return find_in_folder(path);
  if (is_there(path)) return path;
  // A checkpoint saved under this name that was large enough to be sharded.
  const fs::path index = path.string() + ".index.json";
  if (!path.empty() && is_there(index)) return index;
  throw Error("does not exist", path.string(), "give a .safetensors file, its index, or their folder");
}

/// weight_map of an index: tensor to file. Its total_size is not compared: published indexes count tied tensors twice.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const std::string where = index.string();
  const Json json = parse_unique_json(read_file(index), where);
  if (!json.is_object() || !json.contains("weight_map") || !json.at("weight_map").is_object()) {
    throw Error("has no weight_map", where, "give an index of safetensors");
  }
  std::map<std::string, std::string> map;
  for (const auto& [name, value] : json.at("weight_map").items()) {
    if (!value.is_string()) throw Error("gives tensor " + in_quotes(name) + " no file", where);
    const fs::path file = value.get<std::string>();
    const bool inside = !file.empty() && file.is_relative() && std::find(file.begin(), file.end(), "..") == file.end();
    if (!inside)
      throw Error("gives tensor " + in_quotes(name) + " a file outside the folder: " + in_quotes(file.string()), where);
    map[name] = file.string();
  }
  if (map.empty()) throw Error("has an empty weight_map", where, "fetch the index again");
  return map;
}

/// True when every byte is a bool; any other value would be undefined behaviour in whoever reads the tensor.
bool all_bools(const std::byte* data, size_t size) {
  return std::all_of(data, data + size, [](std::byte value) { return value <= std::byte{1}; });
}

/// NaN and infinity are the numbers whose exponent bits are all ones.
template <class Bits>
bool all_finite(const void* data, int64_t count, Bits exponent) {
  const Bits* bits = static_cast<const Bits*>(data);
  int64_t bad = 0;
  for (int64_t i = 0; i < count; ++i) bad += (bits[i] & exponent) == exponent;
  return bad == 0;
}

bool all_finite(const torch::Tensor& x) {
  switch (x.scalar_type()) {
    case torch::kFloat64:
      return all_finite<uint64_t>(x.data_ptr(), x.numel(), 0x7ff0000000000000);
    case torch::kFloat32:
      return all_finite<uint32_t>(x.data_ptr(), x.numel(), 0x7f800000);
    case torch::kFloat16:
      return all_finite<uint16_t>(x.data_ptr(), x.numel(), 0x7c00);
    case torch::kBFloat16:
      return all_finite<uint16_t>(x.data_ptr(), x.numel(), 0x7f80);
    default:
      return true;
  }
}

}  // namespace

void Checkpoint::Contents::add_shard(const fs::path& file) {
  auto mapped = std::make_shared<const MappedFile>(file);
  SafetensorsHeader header = parse_safetensors({mapped->data(), mapped->size()}, file.string());
  for (const SafetensorsEntry& entry : header.tensors) {
    const TensorInfo info{scalar_type(entry.dtype), entry.shape,  entry.dtype,
                          entry.end - entry.begin,  files.size(), entry.begin};
    const auto [at, added] = tensors.emplace(entry.name, info);
    if (added) continue;
    throw Error(
        "tensor " + in_quotes(entry.name) + " stands in " + files[at->second.shard].filename().string() + " too",
        file.string(), "fetch the shards of one model");
  }
  metadata.merge(header.metadata);
  files.push_back(file);
  shards.push_back(std::move(mapped));
}

void Checkpoint::Contents::add_index(const fs::path& index) {
  const std::map<std::string, std::string> weight_map = read_weight_map(index);
  std::set<std::string> names;
  for (const auto& [tensor, file] : weight_map) names.insert(file);
  for (const std::string& name : names) {
    const fs::path file = index.parent_path() / name;
    if (!is_there(file))
      throw Error("shard " + in_quotes(name) + " is missing", index.string(), "fetch it into the same folder");
    add_shard(file);
  }
  for (const auto& [tensor, file] : weight_map) {
    const auto found = tensors.find(tensor);
    if (found != tensors.end() && files[found->second.shard] == index.parent_path() / file) continue;
    throw Error("tensor " + in_quotes(tensor) + " is not in the shard " + in_quotes(file), index.string(),
                "fetch index and shards of one model");
  }
  for (const auto& [tensor, info] : tensors) {
    if (weight_map.contains(tensor)) continue;
    throw Error("tensor " + in_quotes(tensor) + " is not in the index", files[info.shard].string(),
                "fetch index and shards of one model");
  }
}

Checkpoint Checkpoint::open(const fs::path& path) {
  auto contents = std::make_shared<Contents>();
  contents->path = find(path);
  if (contents->path.extension() == ".json") {
    contents->add_index(contents->path);
  } else {
    contents->add_shard(contents->path);
  }
  Checkpoint checkpoint;
  checkpoint.contents_ = std::move(contents);
  return checkpoint;
}

const std::map<std::string, TensorInfo>& Checkpoint::tensors() const { return contents_->tensors; }
const std::map<std::string, std::string>& Checkpoint::metadata() const { return contents_->metadata; }
const fs::path& Checkpoint::path() const { return contents_->path; }
bool Checkpoint::has(const std::string& name) const { return contents_->tensors.contains(name); }

torch::Tensor Checkpoint::tensor(const std::string& name) const {
  const auto found = contents_->tensors.find(name);
  if (found == contents_->tensors.end()) throw Error("has no tensor " + in_quotes(name), path().string());
  const TensorInfo& info = found->second;
  const std::string where = contents_->files[info.shard].string();
  if (info.dtype == torch::ScalarType::Undefined) {
    throw Error("tensor " + in_quotes(name) + " is " + info.dtype_name + ", which cannot be computed with here", where,
                "convert it to F32, F16 or BF16");
  }
  std::shared_ptr<const MappedFile> shard = contents_->shards[info.shard];
  const std::byte* data = shard->data() + info.begin;
  if (info.dtype == torch::kBool && !all_bools(data, info.bytes)) {
    throw Error("tensor " + in_quotes(name) + " is BOOL and holds other values than 0 and 1", where,
                "fetch the file again");
  }
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(info.dtype) != 0) {
    torch::Tensor copy = torch::empty(info.shape, info.dtype);
    if (info.bytes > 0) std::memcpy(copy.data_ptr(), data, info.bytes);
    return copy;
  }
  return torch::from_blob(
      const_cast<std::byte*>(data), info.shape, [shard](void*) {}, info.dtype);
}

void check_finite(const Checkpoint& checkpoint) {
  for (const auto& [name, info] : checkpoint.tensors()) {
    const bool floating = info.dtype_name.starts_with('F') || info.dtype_name == "BF16";
    if (!floating || all_finite(checkpoint.tensor(name))) continue;
    throw Error("tensor " + in_quotes(name) + " holds NaN or infinity", checkpoint.path().string(),
                "the training that wrote it diverged; take an earlier checkpoint");
  }
}

}  // namespace tessera

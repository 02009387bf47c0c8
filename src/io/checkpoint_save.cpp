#include <algorithm>
#include <cstdio>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "io/checkpoint.h"
#include "io/safetensors_dtype.h"
#include "io/safetensors_header.h"

namespace tessera {
namespace {
namespace fs = std::filesystem;

using Named = std::pair<std::string, torch::Tensor>;
using Metadata = std::map<std::string, std::string>;
using Shard = std::vector<const Named*>;

constexpr std::string_view kSuffix = ".safetensors";

size_t bytes_of(const torch::Tensor& x) { return static_cast<size_t>(x.numel()) * x.element_size(); }

void check(const std::vector<Named>& tensors, const std::string& where) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    const std::string blamed = "tensor " + in_quotes(name);
    if (name == "__metadata__") throw Error("a tensor cannot be called __metadata__", where);
    if (!names.insert(name).second) throw Error(blamed + " is given twice", where);
    if (!tensor.defined()) throw Error(blamed + " is undefined", where);
    if (tensor.layout() != torch::kStrided || tensor.is_meta()) throw Error(blamed + " holds no dense data", where);
    if (safetensors_dtype(tensor.scalar_type()).empty()) {
      throw Error(blamed + " is " + c10::toString(tensor.scalar_type()) + ", which safetensors does not have", where,
                  "convert it to a real floating-point or integer type");
    }
  }
}

/// Fills one shard after the other, in the given order.
std::vector<Shard> split(const std::vector<Named>& tensors, size_t shard_bytes) {
  std::vector<Shard> shards(1);
  size_t used = 0;
  for (const Named& named : tensors) {
    const size_t bytes = bytes_of(named.second);
    if (!shards.back().empty() && (used > shard_bytes || bytes > shard_bytes - used)) {
      shards.emplace_back();
      used = 0;
    }
    shards.back().push_back(&named);
    used += bytes;
  }
  return shards;
}

std::string json_string(const std::string& text, const std::string& where) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw Error("the name " + in_quotes(text) + " is not UTF-8", where);
  }
}

/// As the reference writes it, blanks included, so that a file can be written back unchanged.
std::string header(const Shard& shard, const Metadata& metadata, const std::string& where) {
  std::string text;
  for (const auto& [key, value] : metadata) {
    text += (text.empty() ? "{\"__metadata__\":{" : ",") + json_string(key, where) + ":" + json_string(value, where);
  }
  text += text.empty() ? "{" : shard.empty() ? "}" : "},";
  size_t at = 0;
  for (const Named* named : shard) {
    const auto& [name, tensor] = *named;
    const size_t end = at + bytes_of(tensor);
    text += (at == 0 && named == shard.front() ? "" : ",") + json_string(name, where) + ":{\"dtype\":\"" +
            std::string(safetensors_dtype(tensor.scalar_type())) + "\",\"shape\":" + Json(tensor.sizes().vec()).dump() +
            ",\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(end) + "]}";
    at = end;
  }
  text += '}';
  text.append((8 - text.size() % 8) % 8, ' ');  // so that the data begins aligned
  if (text.size() > kSafetensorsHeaderLimit) throw Error("would have a header that is too long", where);
  return text;
}

void write_shard(AtomicFile& file, const Shard& shard, const Metadata& metadata, const std::string& where) {
  const std::string text = header(shard, metadata, where);
  const uint64_t length = text.size();
  file.write(&length, sizeof length);
  file.write(text);
  for (const Named* named : shard) {
    const torch::Tensor data = named->second.detach().cpu().resolve_neg().contiguous();
    file.write(data.data_ptr(), bytes_of(data));
  }
}

std::string shard_name(const std::string& stem, size_t index, size_t count) {
  char digits[64];
  std::snprintf(digits, sizeof digits, "-%05zu-of-%05zu", index + 1, count);
  return stem + digits + std::string(kSuffix);
}

std::string index_text(const std::vector<Shard>& shards, const std::string& stem) {
  Json index{{"metadata", {{"total_size", 0}}}, {"weight_map", Json::object()}};
  size_t total = 0;
  for (size_t i = 0; i < shards.size(); ++i) {
    for (const Named* named : shards[i]) {
      index["weight_map"][named->first] = shard_name(stem, i, shards.size());
      total += bytes_of(named->second);
    }
  }
  index["metadata"]["total_size"] = total;
  return index.dump(2) + "\n";
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

}  // namespace

void save_checkpoint(const fs::path& file_or_folder, const std::vector<Named>& tensors, const Metadata& metadata,
                     size_t shard_bytes) {
  const bool named = file_or_folder.extension() == kSuffix && !fs::is_directory(file_or_folder);
  const fs::path file = named ? file_or_folder : file_or_folder / "model.safetensors";
  const fs::path index = file.string() + ".index.json";
  check(tensors, file.string());
  const std::vector<Shard> shards = split(tensors, shard_bytes);

  std::vector<std::unique_ptr<AtomicFile>> files;
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(file.stem().string(), i, shards.size());
    const fs::path path = shards.size() == 1 ? file : file.parent_path() / name;
    files.push_back(std::make_unique<AtomicFile>(path));
    write_shard(*files.back(), shards[i], metadata, path.string());
  }
  // An index must never stand beside shards of another model, so the old one goes before them and the new one comes
  // after; and a reader prefers a whole file to an index, so an old whole file goes too.
  if (shards.size() > 1) {
    AtomicFile index_file(index);
    index_file.write(index_text(shards, file.stem().string()));
    remove_quietly(index);
    for (auto& shard : files) shard->commit();
    index_file.commit();
    remove_quietly(file);
  } else {
    files.front()->commit();
    remove_quietly(index);
  }
}

}  // namespace tessera

#include "io/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "core/error.h"

namespace tessera {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr int kDeepest = 4;       // an index nests two levels, a header three
constexpr size_t kMostAxes = 64;  // what LibTorch's element-wise operations allow
constexpr const char* kDamaged = "the file is damaged or not complete; fetch it again";

constexpr std::pair<std::string_view, size_t> kElementSizes[] = {
    {"F64", 8}, {"F32", 4},     {"F16", 2},     {"BF16", 2},    {"I64", 8}, {"I32", 4},
    {"I16", 2}, {"I8", 1},      {"U8", 1},      {"BOOL", 1},    {"U16", 2}, {"U32", 4},
    {"U64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"C64", 8}};

struct Foreign {
  std::string_view start, what, remedy;
};
constexpr std::string_view kConvert = "convert it to safetensors, or fetch the safetensors of the same model";
constexpr Foreign kForeign[] = {
    {"version https://git-lfs", "is a git-lfs pointer, not the file that it stands for", "run 'git lfs pull'"},
    {std::string_view("PK\x03\x04", 4), "is a zip archive (a PyTorch pickle?), not safetensors", kConvert},
    {std::string_view("\x80\x02", 2), "is a Python pickle, not safetensors", kConvert},
    {std::string_view("\x80\x04", 2), "is a Python pickle, not safetensors", kConvert},
    {"\x89HDF", "is an HDF5 file, not safetensors", kConvert},
    {"GGUF", "is a GGUF file, not safetensors", kConvert},
    {"\x93NUMPY", "is a NumPy array, not safetensors", kConvert},
    {"<", "is a web page or XML, not safetensors", "the download failed; fetch it again"},
    {"{", "is JSON, not safetensors", "give the safetensors file, or an index that ends in .json"}};

/// For a file that is no safetensors. Asked only after that is known: the eight bytes of length can look like anything.
[[noreturn]] void refuse(std::string_view file, const std::string& what, const std::string& where) {
  for (const Foreign& foreign : kForeign) {
    if (file.starts_with(foreign.start)) throw Error(std::string(foreign.what), where, std::string(foreign.remedy));
  }
  throw Error(what, where, kDamaged);
}

/// The text of the header, its length checked against the format's bound and the file.
std::string_view header_text(std::string_view file, const std::string& where) {
  if (file.empty()) throw Error("is empty", where, kDamaged);
  if (file.size() < kLengthBytes) refuse(file, "is too short for safetensors", where);
  uint64_t length = 0;
  for (size_t i = kLengthBytes; i-- > 0;) length = length << 8 | static_cast<unsigned char>(file[i]);
  if (length > kSafetensorsHeaderLimit) {
    refuse(file,
           "names a header of " + std::to_string(length) + " bytes, at most " +
               std::to_string(kSafetensorsHeaderLimit) + " are allowed",
           where);
  }
  if (length > file.size() - kLengthBytes) {
    refuse(file, "names a header of " + std::to_string(length) + " bytes, the file has " + std::to_string(file.size()),
           where);
  }
  const std::string_view text = file.substr(kLengthBytes, length);
  if (!text.starts_with('{')) refuse(file, "has a header that is not a JSON object", where);
  return text;
}

[[noreturn]] void blame(const std::string& name, const std::string& what, const std::string& where) {
  throw Error("tensor " + in_quotes(name) + " " + what, where, kDamaged);
}

std::vector<int64_t> integers(const Json& fields, const char* key, const std::string& name, const std::string& where) {
  const Json& list = fields.at(key);
  if (!list.is_array()) blame(name, std::string("has ") + key + " that are no list", where);
  if (list.size() > kMostAxes) blame(name, std::string("has too many numbers in ") + key, where);
  std::vector<int64_t> numbers;
  for (const Json& item : list) {
    const bool fits = item.is_number_unsigned() && item.get<uint64_t>() <= std::numeric_limits<int64_t>::max();
    if (!fits) blame(name, std::string("has ") + key + " that are not non-negative 64-bit integers", where);
    numbers.push_back(item.get<int64_t>());
  }
  return numbers;
}

/// The bytes that dtype and shape call for. Zero extents do not excuse the others: strides are computed from all.
size_t needed_bytes(const SafetensorsEntry& entry, const std::string& where) {
  int64_t bytes = static_cast<int64_t>(safetensors_element_size(entry.dtype));
  if (bytes == 0) blame(entry.name, "has the unknown dtype " + in_quotes(entry.dtype), where);
  bool empty = false;
  for (const int64_t extent : entry.shape) {
    empty = empty || extent == 0;
    if (extent != 0 && __builtin_mul_overflow(bytes, extent, &bytes))
      blame(entry.name, "has a shape that overflows", where);
  }
  return empty ? 0 : static_cast<size_t>(bytes);
}

void check_fields(const Json& fields, const std::string& name, const std::string& where) {
  if (!fields.is_object()) blame(name, "is not described by a JSON object", where);
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!fields.contains(key)) blame(name, std::string("has no ") + key, where);
  }
  if (fields.size() != 3) blame(name, "has fields beyond dtype, shape and data_offsets", where);
  if (!fields.at("dtype").is_string()) blame(name, "has a dtype that is no string", where);
}

SafetensorsEntry read_entry(const std::string& name, const Json& fields, size_t data_begin, size_t data_bytes,
                            const std::string& where) {
  check_fields(fields, name, where);
  SafetensorsEntry entry{name, fields.at("dtype").get<std::string>(), integers(fields, "shape", name, where)};
  const std::vector<int64_t> offsets = integers(fields, "data_offsets", name, where);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) blame(name, "has data_offsets that are no range", where);
  const size_t begin = static_cast<size_t>(offsets[0]), end = static_cast<size_t>(offsets[1]);
  if (end > data_bytes) {
    blame(name, "ends at byte " + std::to_string(end) + " of the data, which has " + std::to_string(data_bytes), where);
  }
  const size_t needed = needed_bytes(entry, where);
  if (needed != end - begin) {
    blame(name, "has " + std::to_string(end - begin) + " bytes, its dtype and shape need " + std::to_string(needed),
          where);
  }
  entry.begin = data_begin + begin;
  entry.end = data_begin + end;
  return entry;
}

std::map<std::string, std::string> read_metadata(const Json& object, const std::string& where) {
  if (!object.is_object()) throw Error("has __metadata__ that is no object", where, kDamaged);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) throw Error("has __metadata__ " + in_quotes(key) + " that is no string", where, kDamaged);
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// The format forbids gaps and overlaps, so that a file cannot be two things at once or carry hidden data.
void check_cover(const std::vector<SafetensorsEntry>& tensors, size_t data_begin, size_t file_bytes,
                 const std::string& where) {
  size_t covered = data_begin;
  for (const SafetensorsEntry& entry : tensors) {
    if (entry.begin < covered) blame(entry.name, "overlaps the tensor before it", where);
    if (entry.begin > covered) blame(entry.name, "leaves a hole before it", where);
    covered = entry.end;
  }
  if (covered != file_bytes) {
    throw Error("has " + std::to_string(file_bytes - covered) + " bytes behind its last tensor", where, kDamaged);
  }
}

}  // namespace

size_t safetensors_element_size(std::string_view dtype) {
  for (const auto& [name, size] : kElementSizes) {
    if (name == dtype) return size;
  }
  return 0;
}

std::string in_quotes(std::string_view name) {
  constexpr size_t kLongest = 200;
  std::string text = "'" + std::string(name.substr(0, kLongest)) + (name.size() > kLongest ? "...'" : "'");
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

Json parse_unique_json(std::string_view text, const std::string& where) {
  // The parser takes a zero byte for the end of the text and would not see what follows.
  if (text.find('\0') != std::string_view::npos)
    throw Error("is not valid JSON: it holds a zero byte", where, kDamaged);
  std::vector<std::set<std::string>> open;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    if (depth > kDeepest) throw Error("is JSON that is nested too deeply", where, kDamaged);
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end) open.pop_back();
    if (event == Event::key && !open.back().insert(parsed.get<std::string>()).second) {
      throw Error("has the key " + in_quotes(parsed.get<std::string>()) + " twice", where, kDamaged);
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::exception& error) {
    throw Error("is not valid JSON: " + in_quotes(error.what()), where, kDamaged);
  }
}

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& where) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  const std::string_view text = header_text(bytes, where);
  const Json json = parse_unique_json(text, where + " (header)");
  const size_t data_begin = kLengthBytes + text.size();
  SafetensorsHeader header;
  for (const auto& [name, fields] : json.items()) {
    if (name == "__metadata__") {
      header.metadata = read_metadata(fields, where);
    } else {
      header.tensors.push_back(read_entry(name, fields, data_begin, file.size() - data_begin, where));
    }
  }
  std::sort(header.tensors.begin(), header.tensors.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_cover(header.tensors, data_begin, file.size(), where);
  return header;
}

}  // namespace tessera

#include "tasks/inputs.h"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>

#include "core/error.h"
#include "core/files.h"
#include "core/memory_limit.h"
#include "data/image_folder.h"
#include "io/checkpoint.h"
#include "io/image.h"
#include "layers/device.h"
#include "layers/prepare.h"

namespace tessera {
namespace fs = std::filesystem;
namespace {

bool hidden(const fs::path& path) { return path.filename().string().starts_with("."); }

/// SVG is left to its extension: any text may hold some.
bool looks_like_picture(const fs::path& path) {
  std::array<char, 64> head{};
  std::ifstream in(path, std::ios::binary);
  in.read(head.data(), head.size());
  const Bytes bytes(reinterpret_cast<const uint8_t*>(head.data()), static_cast<size_t>(in.gcount()));
  const ImageType type = sniff_image(bytes);
  return type != ImageType::kUnknown && type != ImageType::kSvg;
}

/// A pattern may be no name that a file could have, so that asking for one fails.
bool is_pattern(const std::string& argument) {
  std::error_code ignored;
  return argument.find_first_of("*?[") != std::string::npos && !fs::exists(argument, ignored);
}

std::vector<std::string> matches_of(const std::string& pattern) {
  glob_t found{};
  const int status = ::glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + (status == 0 ? found.gl_pathc : 0));
  ::globfree(&found);
  std::sort(paths.begin(), paths.end());  // glob() sorts by locale
  return paths;
}

void add_path(const std::string& path, std::vector<PictureInput>& inputs) {
  std::error_code failure;
  const fs::file_status status = fs::status(path, failure);
  if (status.type() == fs::file_type::not_found) throw Error("does not exist", path);
  if (failure) throw Error("cannot be read: " + failure.message(), path);
  if (!fs::is_directory(status)) {
    inputs.push_back({path});
    return;
  }
  const auto pictures = pictures_below(path);
  if (pictures.empty()) throw Error("holds no pictures", path, "JPEG, PNG, WebP, GIF and SVG are read");
  for (const fs::path& picture : pictures) inputs.push_back({picture.string()});
}

void add_argument(const std::string& argument, std::vector<PictureInput>& inputs) {
  if (argument == "-") {
    if (std::any_of(inputs.begin(), inputs.end(), [](const auto& input) { return input.standard_input; }))
      throw Error("standard input can be read only once", "-");
    inputs.push_back({argument, true});
  } else if (argument.empty()) {
    throw Error("an empty name is no picture", "arguments");
  } else if (is_pattern(argument)) {
    const auto paths = matches_of(argument);
    if (paths.empty()) throw Error("matches no file", argument);
    for (const auto& path : paths) add_path(path, inputs);
  } else {
    add_path(argument, inputs);
  }
}

fs::path program_folder() {
  std::error_code failure;
  const fs::path program = fs::read_symlink("/proc/self/exe", failure);
  return failure ? fs::path() : program.parent_path();
}

}  // namespace

std::vector<PictureInput> expand_inputs(const std::vector<std::string>& arguments, std::istream* list) {
  std::vector<PictureInput> inputs;
  for (const auto& argument : arguments) add_argument(argument, inputs);
  for (std::string line; list && std::getline(*list, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) add_path(line, inputs);  // a name in a list is never a pattern
  }
  if (inputs.empty())
    throw Error("no picture is given", "arguments", "name files, folders, patterns, or - for standard input");
  return inputs;
}

std::vector<fs::path> pictures_below(const fs::path& folder) {
  std::vector<fs::path> pictures;
  fs::path at = folder;  // the iterator does not say which folder it could not open
  try {
    for (fs::recursive_directory_iterator entry(folder), end; entry != end; ++entry) {
      at = entry->path();
      if (hidden(entry->path())) {
        entry.disable_recursion_pending();
      } else if (entry->is_regular_file() &&
                 (has_picture_extension(entry->path()) || looks_like_picture(entry->path()))) {
        pictures.push_back(entry->path());
      }
    }
  } catch (const fs::filesystem_error& error) {
    const fs::path& where = error.path1().empty() ? at : error.path1();
    throw Error("cannot be read: " + error.code().message(), where.string());
  }
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

std::string read_input(const PictureInput& input) {
  if (!input.standard_input) return read_file(input.name);
  std::string bytes((std::istreambuf_iterator<char>(std::cin)), std::istreambuf_iterator<char>());
  if (std::cin.bad()) throw Error("standard input cannot be read", input.name);
  return bytes;
}

Image read_picture(const std::string& path) {
  const std::string bytes = read_input({path});
  const Image image = decode_image(Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), path);
  return image.channels == 4 ? composite(image, {255, 255, 255}) : image;
}

fs::path default_model_folder() {
  const char* remedy = "give --model FOLDER, or set TESSERA_MODEL";
  if (const char* named = std::getenv("TESSERA_MODEL"); named && *named) {
    if (!fs::exists(named)) throw Error("TESSERA_MODEL names a folder that does not exist", named, remedy);
    return named;
  }
  const fs::path program = program_folder();
  for (const char* beside : {"../models/default", "../share/tessera/models/default"}) {
    const fs::path folder = (program / beside).lexically_normal();
    if (!program.empty() && fs::exists(folder / "config.json")) return folder;
  }
  throw Error("the default model is not installed", (program / "../models/default").lexically_normal().string(),
              remedy);
}

namespace {

/// The least that a weight takes in memory, in bytes.
double bytes_of_weight(const std::string& precision) {
  if (precision.empty() || precision == "float32") return 4;
  return precision == "bfloat16" ? 2 : precision.starts_with("int8") ? 1 : 0.5;
}

/// What the weights of a folder take at least, known before any of it is read.
int64_t least_weight_bytes(const fs::path& folder, const std::string& precision) {
  const Checkpoint file = Checkpoint::open(folder);
  const bool packed = is_prepared_folder(folder);
  double sum = 0;
  for (const auto& [name, info] : file.tensors()) {
    int64_t count = 1;
    for (const int64_t extent : info.shape) count *= extent;
    sum += packed ? static_cast<double>(info.bytes) : static_cast<double>(count) * bytes_of_weight(precision);
  }
  return static_cast<int64_t>(sum);
}

Model load(const fs::path& folder, const std::string& precision) {
  if (!precision.empty()) return load_prepared_model(folder, precision_of(precision, "--precision"));
  return is_prepared_folder(folder) ? load_prepared_model(folder, {}) : load_model(folder);
}

Model load_onto(torch::Device device, const fs::path& folder, const std::string& precision) {
  if (is_prepared_folder(folder))
    throw Error("was prepared for the CPU", folder.string(), "name the published folder, with --precision");
  Model model = load_model(folder);
  model.module->to(device);
  if (!precision.empty()) prepare(*model.module, precision_of(precision, "--precision"));
  return model;
}

}  // namespace

Model open_model(const fs::path& named, const std::string& precision, const std::string& device) {
  const fs::path folder = named.empty() ? default_model_folder() : named;
  const torch::Device there = device_named(device, "--device");
  if (!there.is_cpu()) return load_onto(there, folder, precision);
  if (!memory_is_limited()) return load(folder, precision);
  check_weights_fit(least_weight_bytes(folder, precision));
  Model model = load(folder, precision);
  enforce_memory_limit(weight_bytes(*model.module));
  return model;
}

uint64_t hash_bytes(const void* data, size_t size, uint64_t seed) {
  constexpr uint64_t kPrime = 0x100000001b3ULL;
  const auto* at = static_cast<const unsigned char*>(data);
  uint64_t hash = seed ^ size;
  for (; size >= 8; at += 8, size -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 32;  // FNV carries upwards alone; words need both ways
  }
  for (; size > 0; ++at, --size) hash = (hash ^ *at) * kPrime;
  return hash ^ (hash >> 29);
}

std::string model_fingerprint(const Model& model) {
  const Checkpoint checkpoint = Checkpoint::open(model.folder);
  const bool sharded = checkpoint.path().extension() == ".json";
  uint64_t hash = hash_bytes(nullptr, 0);
  const auto add = [&hash](const std::string& text) { hash = hash_bytes(text.data(), text.size(), hash); };
  if (sharded) {
    for (const auto& [name, info] : checkpoint.tensors()) {
      const Tensor tensor = checkpoint.tensor(name).contiguous();
      add(name);
      hash = hash_bytes(tensor.data_ptr(), info.bytes, hash);
    }
  } else {
    const MappedFile file(checkpoint.path());
    hash = hash_bytes(file.data(), file.size(), hash);
  }
  add(model.config.dump());
  if (model.processor) add(to_json(model.processor->options()).dump());
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

std::string json_line(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

void finish_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout))
    throw Error(std::string("cannot be written: ") + std::strerror(errno), "standard output");
}

}  // namespace tessera

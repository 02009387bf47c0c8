#include "data/jsonl.h"

#include <algorithm>

#include "core/error.h"

namespace tessera {
namespace {

std::string_view text_of(const MappedFile& file) { return {reinterpret_cast<const char*>(file.data()), file.size()}; }

}  // namespace

JsonlDataset::JsonlDataset(const std::filesystem::path& path) : path_(path), file_(path) {
  const std::string_view text = text_of(file_);
  size_t number = 1;
  for (size_t begin = 0; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const Line line{number, begin, end - begin};
    if (text.substr(begin, end - begin).find_first_not_of(" \t\r") != std::string_view::npos) {
      read(line);
      lines_.push_back(line);
    }
    begin = end + 1;
  }
  if (lines_.empty()) throw Error("has no samples", path.string());
}

std::string JsonlDataset::where(const Line& line) const {
  return path_.string() + ": line " + std::to_string(line.number);
}

Sample JsonlDataset::read(const Line& line) const {
  Sample sample;
  sample.key = where(line);
  read_sample_json(parse_json(text_of(file_).substr(line.offset, line.length), sample.key), sample.key, sample);
  const Json& json = sample.metadata;
  if (!json.contains("image") || !json.at("image").is_string())
    throw Error("has no text 'image'", sample.key, R"(give {"image": PATH, "text": TEXT})");
  return sample;
}

Sample JsonlDataset::get(size_t index) const {
  check_index(index);
  Sample sample = read(lines_[index]);
  // An absolute path replaces the folder.
  const std::filesystem::path image = path_.parent_path() / sample.metadata.at("image").get<std::string>();
  try {
    sample.bytes = read_file(image);
  } catch (const Error& error) {
    throw error.within(sample.key);
  }
  return sample;
}

}  // namespace tessera

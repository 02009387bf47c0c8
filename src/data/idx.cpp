#include "data/idx.h"

#include <algorithm>

#include "core/error.h"
#include "data/archive.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kUnsignedBytes = 0x0800;  // the lowest byte of the magic number is the number of axes

uint32_t big_endian(const std::string& bytes, size_t offset) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[offset + i]);
  return value;
}

struct Idx {
  std::vector<int64_t> extents;
  std::string values;
};

Idx read_idx(const fs::path& path, size_t axes) {
  std::string bytes = read_decompressed(path);
  const size_t header = 4 + 4 * axes;
  if (bytes.size() < 4) throw Error("is too short for an IDX file", path.string());
  if (const uint32_t magic = big_endian(bytes, 0); magic != (kUnsignedBytes | axes)) {
    const std::string expected = axes == 3 ? "2051 (pictures)" : "2049 (labels)";
    throw Error("has the magic number " + std::to_string(magic) + ", expected " + expected, path.string(),
                "are pictures and labels in the wrong order?");
  }
  if (bytes.size() < header) throw Error("is too short for an IDX file", path.string());
  Idx idx;
  uint64_t size = 1;
  for (size_t axis = 0; axis < axes; ++axis) {
    const uint32_t extent = big_endian(bytes, 4 + 4 * axis);
    if (extent > 0 && size > (uint64_t{1} << 40) / extent) throw Error("states an impossible size", path.string());
    size *= extent;
    idx.extents.push_back(extent);
  }
  if (bytes.size() - header != size)
    throw Error("holds " + std::to_string(bytes.size() - header) + " values, its header says " + std::to_string(size),
                path.string(), "the file is damaged or incomplete; install it again");
  idx.values = bytes.substr(header);
  return idx;
}

/// NAME or NAME.gz, whichever is there.
fs::path plain_or_gzip(const fs::path& path) { return fs::exists(path) ? path : fs::path(path.string() + ".gz"); }

}  // namespace

IdxDataset::IdxDataset(const fs::path& images, const fs::path& labels, std::vector<std::string> classes)
    : name_(images.string()) {
  Idx pictures = read_idx(images, 3);
  labels_ = read_idx(labels, 1).values;
  if (pictures.extents[0] != static_cast<int64_t>(labels_.size()))
    throw Error(
        "has " + std::to_string(pictures.extents[0]) + " pictures for " + std::to_string(labels_.size()) + " labels",
        name_, "take both files from one set");
  height_ = pictures.extents[1];
  width_ = pictures.extents[2];
  pixels_ = std::move(pictures.values);
  classes_ = std::move(classes);
  const auto largest = std::max_element(labels_.begin(), labels_.end(), [](char a, char b) {
    return static_cast<unsigned char>(a) < static_cast<unsigned char>(b);
  });
  if (!classes_.empty() && largest != labels_.end() && static_cast<unsigned char>(*largest) >= classes_.size())
    throw Error(
        "has the label " + std::to_string(static_cast<unsigned char>(*largest)) + ", for which there is no name",
        labels.string());
}

Sample IdxDataset::get(size_t index) const {
  check_index(index);
  Sample sample;
  sample.key = name_ + ": " + std::to_string(index);
  sample.image = Image(height_, width_, 1);
  const size_t size = sample.image.pixels.size();
  std::copy_n(reinterpret_cast<const uint8_t*>(pixels_.data()) + index * size, size, sample.image.pixels.begin());
  sample.label = static_cast<unsigned char>(labels_[index]);
  if (!classes_.empty()) sample.captions["en"] = classes_[static_cast<size_t>(sample.label)];
  return sample;
}

IdxDataset open_fashion_mnist(bool train, const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw Error("is no folder", folder.string(), "install the Debian package dataset-fashion-mnist");
  const std::string stem = train ? "train" : "t10k";
  return IdxDataset(
      plain_or_gzip(folder / (stem + "-images-idx3-ubyte")), plain_or_gzip(folder / (stem + "-labels-idx1-ubyte")),
      {"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"});
}

}  // namespace tessera

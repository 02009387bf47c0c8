#pragma once
#include <filesystem>

#include "data/dataset.h"

namespace tessera {

/// A folder of pictures in which each subfolder is a class: its name is the class, its pictures (at any depth; jpg,
/// jpeg, png, webp, gif, svg) are the samples. Sorted by path, so that the order is the same everywhere.
class ImageFolder : public Dataset {
 public:
  /// @throws Error when there is no such folder or no picture in any subfolder
  explicit ImageFolder(const std::filesystem::path& folder);
  size_t size() const override { return files_.size(); }
  Sample get(size_t index) const override;

 private:
  struct File {
    std::filesystem::path path;
    int64_t label;
  };
  std::vector<File> files_;
};

/// Whether the name ends like a picture that Tessera reads.
bool has_picture_extension(const std::filesystem::path& path);

}  // namespace tessera

#pragma once
#include <filesystem>

#include "core/files.h"
#include "data/dataset.h"

namespace tessera {

/// A file of JSON objects, one a line: {"image": PATH, "text": TEXT}. PATH is relative to the file; `text` may be an
/// object of languages; see read_sample_json for all keys. Empty lines are passed over.
class JsonlDataset : public Dataset {
 public:
  /// Reads every line once. @throws Error with the line number for what is not such an object
  explicit JsonlDataset(const std::filesystem::path& path);
  size_t size() const override { return lines_.size(); }
  Sample get(size_t index) const override;

 private:
  struct Line {
    size_t number;  ///< from 1
    size_t offset, length;
  };
  std::string where(const Line& line) const;
  /// The sample without the bytes of its picture.
  Sample read(const Line& line) const;

  std::filesystem::path path_;
  MappedFile file_;
  std::vector<Line> lines_;
};

}  // namespace tessera

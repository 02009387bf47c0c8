#pragma once
#include <filesystem>
#include <istream>
#include <memory>
#include <optional>

#include "core/files.h"
#include "data/dataset.h"
#include "data/tar.h"

namespace tessera {

/// WebDataset shards: tar files in which consecutive members of one key ("noto-1f600" of "noto-1f600.png") are a
/// sample. A sample has one picture (png, jpg, jpeg, webp, gif, svg) and may have json (see read_sample_json), txt (an
/// English caption) and cls (a label).

/// Files named by patterns: `*`, `?`, and the ranges of WebDataset, "train-{00000..00012}.tar". Sorted within a
/// pattern.
/// @throws Error when a pattern names no file
std::vector<std::filesystem::path> expand_shards(const std::vector<std::string>& patterns);

/// Random access. Opening reads the headers of the tars once; the files are mapped, not read.
class WebDataset : public Dataset {
 public:
  /// @throws Error when a shard is damaged or a sample has no picture
  explicit WebDataset(const std::vector<std::filesystem::path>& shards);
  size_t size() const override { return index_.size(); }
  Sample get(size_t index) const override;

 private:
  struct Entry {
    size_t shard;
    std::string key;
    std::map<std::string, TarEntry> members;  ///< by extension
  };
  struct Shard {
    std::string where;
    std::unique_ptr<MappedFile> file;  ///< null: an empty file
  };
  void add_shard(const std::filesystem::path& path);

  std::vector<Shard> shards_;
  std::vector<Entry> index_;
};

/// The samples of a tar from front to back, for data that fits no disk: the source may be a pipe, and no more than one
/// sample is held.
class WebDatasetStream {
 public:
  /// @param where  names the source in messages
  WebDatasetStream(std::istream& source, std::string where);
  /// nullopt at the end. @throws Error when the tar is damaged or a sample has no picture
  std::optional<Sample> next();

 private:
  std::string where_;
  TarWalker walker_;
  TarEntry ahead_;  ///< the first member of the next sample
  bool more_ = false;
};

}  // namespace tessera

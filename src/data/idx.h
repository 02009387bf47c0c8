#pragma once
#include <filesystem>

#include "data/dataset.h"

namespace tessera {

/// Grey pictures and labels in the IDX format of MNIST, plain or compressed. The whole of it is in memory.
class IdxDataset : public Dataset {
 public:
  /// @param classes  names of the labels; may be empty
  /// @throws Error for a wrong magic number, a size that the file does not have, different counts, a label without name
  IdxDataset(const std::filesystem::path& images, const std::filesystem::path& labels,
             std::vector<std::string> classes = {});
  size_t size() const override { return labels_.size(); }
  Sample get(size_t index) const override;

 private:
  std::string name_, pixels_, labels_;
  int64_t height_ = 0, width_ = 0;
};

/// Fashion-MNIST as the Debian package dataset-fashion-mnist installs it.
/// @param train  the 60 000 pictures for training, else the 10 000 for testing
IdxDataset open_fashion_mnist(bool train, const std::filesystem::path& folder = "/usr/share/datasets/fashion-mnist");

}  // namespace tessera

#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "io/checkpoint.h"
#include "support/scratch.h"

namespace tessera {

/// A folder of its own for every test, removed after it.
class CheckpointFolder : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return folder / name;
  }

  testing::Scratch scratch;
  const std::filesystem::path& folder = scratch.path();
};

inline std::string bytes_of_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// A file of the format from its JSON header and data.
inline std::string safetensors(const std::string& header, const std::string& data = "") {
  std::string file(8, '\0');
  for (size_t i = 0, length = header.size(); i < 8; ++i, length >>= 8) file[i] = static_cast<char>(length & 0xff);
  return file + header + data;
}

inline std::string open_error(const std::filesystem::path& path) {
  return testing::error_of([&] { Checkpoint::open(path); });
}

}  // namespace tessera

#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/error.h"
#include "io/checkpoint.h"

namespace tessera {

/// A folder of its own for every test, removed after it.
class CheckpointFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-io-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder / name, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return folder / name;
  }

  std::filesystem::path folder;
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

/// The message of the Error that `action` throws; fails when it throws none.
template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

inline std::string open_error(const std::filesystem::path& path) {
  return message_of([&] { Checkpoint::open(path); });
}

}  // namespace tessera

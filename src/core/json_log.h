#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

namespace tessera {

/// A file of JSON values, one a line, to which a long run adds what it has finished. The line that a killed run was
/// writing is cut off when the file is opened again.
class JsonLog {
 public:
  /// @param path  a file that does not exist yet has no lines
  /// @throws Error naming the line that is no JSON, or where the file cannot be read or cut
  explicit JsonLog(std::filesystem::path path);

  /// Those that the file had.
  const std::vector<nlohmann::json>& lines() const { return lines_; }
  /// Whether one was cut off.
  bool was_torn() const { return torn_; }
  /// @throws Error where the file cannot be written
  void write(const nlohmann::json& line);

 private:
  std::filesystem::path path_;
  std::vector<nlohmann::json> lines_;
  bool torn_ = false;
};

}  // namespace tessera

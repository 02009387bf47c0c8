#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace tessera {

/// A progress line on standard error: what, how far, how fast, how long still. On a terminal it is redrawn in place; in
/// a log it is one line every ten seconds; `quiet` silences all of them.
class Progress {
 public:
  /// @param total  how many steps; 0 when not known
  Progress(std::string what, int64_t total, std::string unit = "");
  ~Progress();

  /// @param note  shown at the end of the line: the loss, a file name
  void step(int64_t count = 1, const std::string& note = "");
  void set(int64_t done, const std::string& note = "");
  void finish();

  static bool quiet;

 private:
  void draw();
  std::string what_, unit_, note_;
  int64_t total_, done_ = 0;
  int64_t begun_at_ = 0;
  bool terminal_, finished_ = false;
  std::chrono::steady_clock::time_point begun_, drawn_;
};

/// 75 -> "1:15", 3700 -> "1:01:40".
std::string format_duration(double seconds);

}  // namespace tessera

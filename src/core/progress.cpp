#include "core/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace tessera {

using Clock = std::chrono::steady_clock;

bool Progress::quiet = false;

std::string format_duration(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  char text[32];
  if (whole >= 3600)
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

Progress::Progress(std::string what, int64_t total, std::string unit)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      terminal_(::isatty(STDERR_FILENO) == 1),
      begun_(Clock::now()),
      drawn_(begun_) {}

Progress::~Progress() { finish(); }

void Progress::step(int64_t count, const std::string& note) { set(done_ + count, note); }

void Progress::set(int64_t done, const std::string& note) {
  if (done_ == 0 && done > 1) begun_at_ = done - 1;  // a resumed run does not count what was done before
  done_ = done;
  note_ = note;
  const double since = std::chrono::duration<double>(Clock::now() - drawn_).count();
  if (since >= (terminal_ ? 0.1 : 10.0)) draw();
}

void Progress::draw() {
  if (quiet) return;
  drawn_ = Clock::now();
  const double elapsed = std::chrono::duration<double>(drawn_ - begun_).count();
  const double rate = elapsed > 0 ? static_cast<double>(done_ - begun_at_) / elapsed : 0;
  std::string line = what_ + " " + std::to_string(done_);
  if (total_ > 0) line += "/" + std::to_string(total_);
  char text[64];
  std::snprintf(text, sizeof text, "  %.4g %s/s", rate, unit_.c_str());
  line += text;
  if (total_ > 0 && rate > 0) line += "  " + format_duration(static_cast<double>(total_ - done_) / rate) + " left";
  if (!note_.empty()) line += "  " + note_;
  std::fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", line.c_str());
  std::fflush(stderr);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  const bool shown = drawn_ != begun_;
  if (!shown) return;  // what took less than one drawing needs no line
  draw();
  if (terminal_ && !quiet) std::fputc('\n', stderr);
}

}  // namespace tessera

#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "core/options.h"
#include "train/optimizer.h"

namespace tessera {

/// The metrics of a run, one JSON object a line. What a run wrote after its last checkpoint is cut off when it resumes.
class MetricsLog {
 public:
  /// Opens the file, cut to `bytes`. @throws Error when it cannot be written or is shorter
  MetricsLog(std::filesystem::path path, int64_t bytes);
  void write(const Json& line);
  int64_t bytes() const { return bytes_; }

 private:
  std::filesystem::path path_;
  int64_t bytes_;
};

/// All lines of metrics.jsonl; empty when there is no such file.
std::vector<Json> read_metrics(const std::filesystem::path& path);

/// Where a run stands, beside its tensors.
struct RunState {
  int64_t step = 0;  ///< optimizer steps that are done
  int64_t metrics_bytes = 0;
  double loss_sum = 0;  ///< since the last line of the metrics
  int64_t loss_count = 0;
  double best = -1;  ///< best top-1 so far
  int64_t best_step = -1;
  double seconds = 0;  ///< of training
};
TESSERA_OPTIONS(RunState, step, metrics_bytes, loss_sum, loss_count, best, best_step, seconds)

/// Writes tensors and state as one safetensors file, atomically.
void save_state(const std::filesystem::path& path, const NamedTensors& tensors, const RunState& state);

/// Copies the file's tensors into `tensors`, which must be the same by name and shape. @throws Error naming the tensor
RunState load_state(const std::filesystem::path& path, const NamedTensors& tensors);

/// The names with something in front.
NamedTensors prefixed(const std::string& prefix, const NamedTensors& tensors);

}  // namespace tessera

#include "train/run_files.h"

#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "io/checkpoint.h"

namespace tessera {
namespace fs = std::filesystem;

MetricsLog::MetricsLog(fs::path path, int64_t bytes) : path_(std::move(path)), bytes_(bytes) {
  std::error_code failure;
  const auto found = fs::exists(path_) ? static_cast<int64_t>(fs::file_size(path_, failure)) : 0;
  if (found < bytes) throw Error("is shorter than when the run was saved", path_.string(), "begin a new run folder");
  std::ofstream(path_, std::ios::app).flush();
  fs::resize_file(path_, static_cast<uintmax_t>(bytes), failure);
  if (failure) throw Error("cannot be written: " + failure.message(), path_.string());
}

void MetricsLog::write(const Json& line) {
  const std::string text = line.dump() + "\n";
  std::ofstream out(path_, std::ios::app | std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.flush();
  if (!out)
    throw Error("cannot be written", path_.string(), "make room on the disk, then start again: the run resumes");
  bytes_ += static_cast<int64_t>(text.size());
}

std::vector<Json> read_metrics(const fs::path& path) {
  std::vector<Json> lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) lines.push_back(parse_json(line, path.string()));
  return lines;
}

void save_state(const fs::path& path, const NamedTensors& tensors, const RunState& state) {
  std::vector<std::pair<std::string, Tensor>> plain;
  for (const auto& [name, tensor] : tensors) plain.emplace_back(name, tensor.detach().contiguous());
  save_checkpoint(path, plain, {{"format", "pt"}, {"tessera_run", write_options(state).dump()}});
}

RunState load_state(const fs::path& path, const NamedTensors& tensors) {
  const torch::NoGradGuard no_gradient;
  const Checkpoint file = Checkpoint::open(path);
  const auto& metadata = file.metadata();
  if (!metadata.contains("tessera_run")) throw Error("is not the state of a training run", path.string());
  for (const auto& [name, tensor] : tensors) {
    if (!file.has(name)) throw Error("tensor '" + name + "' is missing", path.string(), "begin a new run folder");
    const Tensor stored = file.tensor(name);
    if (stored.sizes() != tensor.sizes() || stored.scalar_type() != tensor.scalar_type())
      throw Error("tensor '" + name + "' has another shape or type than the model's", path.string(),
                  "begin a new run folder");
    Tensor(tensor.detach()).copy_(stored);
  }
  if (file.tensors().size() != tensors.size())
    throw Error("holds tensors that the model has not", path.string(), "begin a new run folder");
  return read_options<RunState>(parse_json(metadata.at("tessera_run"), path.string()), path.string());
}

NamedTensors prefixed(const std::string& prefix, const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) result.emplace_back(prefix + name, tensor);
  return result;
}

}  // namespace tessera

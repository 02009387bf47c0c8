#include <malloc.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "bench.h"
#include "core/error.h"
#include "core/files.h"
#include "encoders/vit.h"
#include "layers/weights.h"

namespace tessera::bench {
namespace {

namespace fs = std::filesystem;

/// A random ViT-B/16 of 343 MB in a folder that goes away.
class TemporaryCheckpoint {
 public:
  TemporaryCheckpoint() : folder_(fs::temp_directory_path() / ("tessera-bench-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    Vit vit{VitOptions{}};
    save_checkpoint(file(), published_tensors(vit, NameTable{{"*", "*"}}, {}));
  }
  ~TemporaryCheckpoint() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  fs::path file() const { return folder_ / "model.safetensors"; }

 private:
  fs::path folder_;
};

/// Opens and hands out every tensor, as loading a model does; their pages are read when they are used.
std::vector<torch::Tensor> map_tensors(const fs::path& file) {
  const Checkpoint checkpoint = Checkpoint::open(file);
  std::vector<torch::Tensor> tensors;
  for (const auto& [name, info] : checkpoint.tensors()) tensors.push_back(checkpoint.tensor(name));
  return tensors;
}

/// What a loader without mapping does: read the file, copy each tensor out of it.
std::vector<torch::Tensor> read_tensors(const fs::path& file) {
  const std::string bytes = read_file(file);
  const Checkpoint checkpoint = Checkpoint::open(file);
  std::vector<torch::Tensor> tensors;
  for (const auto& [name, info] : checkpoint.tensors()) {
    const torch::Tensor tensor = torch::empty(info.shape, info.dtype);
    std::memcpy(tensor.data_ptr(), bytes.data() + info.begin, info.bytes);
    tensors.push_back(tensor);
  }
  return tensors;
}

/// By how many megabytes the process stands larger while it holds what `load` gives.
double held_by(const std::function<std::vector<torch::Tensor>()>& load) {
  ::malloc_trim(0);
  const double before = resident_megabytes();
  const auto tensors = load();
  return std::max(0.1, resident_megabytes() - before);
}

}  // namespace

std::vector<Comparison> loading(int runs) {
  const TemporaryCheckpoint checkpoint;
  const auto map = [&] { return map_tensors(checkpoint.file()); };
  const auto read = [&] { return read_tensors(checkpoint.file()); };
  const Pair times = interleave(
      runs, [&] { map(); }, [&] { read(); });
  const double mapped = held_by(map), copied = held_by(read);
  return {{"load ViT-B/16, 343 MB", "mapped", "read and copied", times.ours, times.peer, "ms", times.ratio},
          {"memory after loading it", "mapped", "read and copied", mapped, copied, "MB", copied / mapped}};
}

}  // namespace tessera::bench

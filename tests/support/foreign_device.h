#pragma once
#include <torch/types.h>

#include <cstdint>

namespace tessera::testing {

/// A device for tests, where there is no GPU: its memory is ordinary memory and its arithmetic that of the CPU, but its
/// tensors may not meet those of the CPU. So a tensor that a layer makes in the wrong place is an exception, as on a
/// GPU, and our own kernels, which read memory of the CPU, are not asked. It stands under the name of XPU, for which
/// this LibTorch has no kernels.
torch::Device foreign_device();

/// While it lives, the device has graphs (core/device_graph.h) with the rules of CUDA's: while one is recorded nothing
/// is done, and what would have the host wait or read memory of the CPU is an exception.
class WithForeignGraphs {
 public:
  WithForeignGraphs();
  ~WithForeignGraphs();
  WithForeignGraphs(const WithForeignGraphs&) = delete;
  WithForeignGraphs& operator=(const WithForeignGraphs&) = delete;
  /// How often a graph was replayed.
  static int64_t replays();
};

}  // namespace tessera::testing

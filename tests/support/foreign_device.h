#pragma once
#include <torch/types.h>

namespace tessera::testing {

/// A device for tests, where there is no GPU: its memory is ordinary memory and its arithmetic that of the CPU, but its
/// tensors may not meet those of the CPU. So a tensor that a layer makes in the wrong place is an exception, as on a
/// GPU, and our own kernels, which read memory of the CPU, are not asked. It stands under the name of XPU, for which
/// this LibTorch has no kernels.
torch::Device foreign_device();

}  // namespace tessera::testing

#pragma once
#include <torch/types.h>

namespace tessera {

/// torch::empty() on the CPU, in pages of 2 MiB where the numbers fill some and the system has them. For packed
/// weights, which are read from front to end again and again: the processor looks up fewer addresses, and what asks for
/// memory ahead does not stop every 4 kB.
torch::Tensor empty_in_huge_pages(at::IntArrayRef sizes, torch::ScalarType type);

}  // namespace tessera

#pragma once
#include <cstdint>

namespace tessera {

/// Floating-point operations of the products that kernels ran for this thread so far, 2 for each multiply-add, whatever
/// thread computed them: LibTorch's own counters do not see them.
int64_t& kernel_flops();

}  // namespace tessera

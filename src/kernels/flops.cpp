#include "kernels/flops.h"

namespace tessera {

int64_t& kernel_flops() {
  thread_local int64_t count = 0;
  return count;
}

}  // namespace tessera

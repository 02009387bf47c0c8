#include "core/freed_memory.h"

#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace tessera {

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_MAX, 0);         // nothing has pages of its own
  mallopt(M_TRIM_THRESHOLD, -1);  // the heap does not shrink
  mallopt(M_TOP_PAD, 64 << 20);   // and grows by this at least
#endif
}

}  // namespace tessera

#include "io/checkpoint_pages.h"

#include <sys/mman.h>
#include <unistd.h>

namespace tessera {

void give_back_pages(const Checkpoint& checkpoint, const std::string& name) {
  const torch::Tensor tensor = checkpoint.tensor(name);
  const TensorInfo& info = checkpoint.tensors().at(name);
  const bool is_mapped = info.begin % c10::elementSize(info.dtype) == 0;  // else it is a copy
  if (!is_mapped || info.bytes == 0) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto data = reinterpret_cast<uintptr_t>(tensor.data_ptr());
  const uintptr_t begin = data / page * page;
  // Advice: where it is not taken, the pages stay until the system needs them.
  ::madvise(reinterpret_cast<void*>(begin), data + info.bytes - begin, MADV_DONTNEED);
}

}  // namespace tessera

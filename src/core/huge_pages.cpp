#include "core/huge_pages.h"

#include <sys/mman.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "core/memory_limit.h"

namespace tessera {
namespace {

constexpr int64_t kHuge = 2 << 20;

/// Memory that begins with a huge page, of small pages behind the last whole huge one.
void* huge_memory(int64_t bytes) {
  void* memory = nullptr;
  if (::posix_memalign(&memory, kHuge, static_cast<size_t>(bytes)) != 0) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  const auto whole = static_cast<size_t>(bytes / kHuge * kHuge);
  // Small pages that memory has from an earlier use would stay. Both are wishes, and nothing depends on them.
  ::madvise(memory, whole, MADV_DONTNEED);
  ::madvise(memory, whole, MADV_HUGEPAGE);
#endif
  return memory;
}

}  // namespace

torch::Tensor empty_in_huge_pages(at::IntArrayRef sizes, torch::ScalarType type) {
  const int64_t bytes = c10::multiply_integers(sizes) * static_cast<int64_t>(c10::elementSize(type));
  if (bytes < kHuge) return torch::empty(sizes, type);
  std::unique_ptr<void, decltype(&std::free)> memory(huge_memory(bytes), &std::free);
  count_tensor_memory(bytes);
  const auto give_back = [bytes](void* data) {
    std::free(data);
    count_tensor_memory(-bytes);
  };
  return torch::from_blob(memory.release(), sizes, give_back, type);
}

}  // namespace tessera

#include "core/memory_limit.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/compat.h"
#include "core/process_memory.h"
#include "core/size_text.h"

namespace tessera {
namespace {

/// What is no tensor and comes and goes: pictures while they are decoded, texts, the kernels' own room.
constexpr int64_t kBeside = 16 << 20;
/// Code of LibTorch that the first pass touches.
constexpr int64_t kFirstPass = 24 << 20;

struct Account {
  std::atomic<int64_t> limit = 0;    // of the process; 0: none
  std::atomic<int64_t> allowed = 0;  // of the tensors; counts once `enforced`
  std::atomic<bool> enforced = false;
  std::atomic<int64_t> tensors = 0, most = 0;  // bytes that live, and that lived at most
  int64_t files = 0;                           // pages of the program and its libraries, when the limit was set
  int64_t weights = 0, mapped = 0;             // of all models; what of it is no such tensors
  bool worked = false;                         // the first pass was made
};
Account account;

void take(int64_t bytes) {
  const int64_t held = account.tensors += bytes;
  if (account.enforced && held > account.allowed) {
    account.tensors -= bytes;
    throw OutOfMemory(account.limit - account.allowed + held, account.limit);
  }
  for (int64_t most = account.most; held > most && !account.most.compare_exchange_weak(most, held);) {
  }
}

void give_back(void* data) {
  if (!data) return;
  account.tensors -= static_cast<int64_t>(::malloc_usable_size(data));
  c10::free_cpu(data);
}

/// LibTorch's own way, counted.
class CountingAllocator final : public c10::Allocator {
 public:
#if TESSERA_TORCH_AT_LEAST(2, 3)
  c10::DataPtr allocate(size_t bytes) override {
#else
  c10::DataPtr allocate(size_t bytes) const override {
#endif
    const auto wanted = static_cast<int64_t>(bytes);
    take(wanted);
    void* data = nullptr;
    try {
      data = c10::alloc_cpu(bytes);
    } catch (...) {
      account.tensors -= wanted;
      throw;
    }
    account.tensors += (data ? static_cast<int64_t>(::malloc_usable_size(data)) : 0) - wanted;
    return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
#if TESSERA_TORCH_AT_LEAST(2, 3)
  void copy_data(void* to, const void* from, std::size_t bytes) const override { std::memcpy(to, from, bytes); }
#endif
};

/// What the process holds beside tensors and mapped weights, with some room for what comes and goes.
int64_t held_beside() {
  give_back_freed_memory();
  const int64_t anonymous = anonymous_bytes();
  // Mapped weights are pages of files, too, and need not have been read yet.
  account.files = std::max(account.files, resident_bytes() - anonymous - account.mapped);
  return account.files + std::max<int64_t>(0, anonymous - account.tensors) + kBeside +
         (account.worked ? 0 : kFirstPass);
}

void plan() { account.allowed = account.limit - held_beside() - account.mapped; }

}  // namespace

OutOfMemory::OutOfMemory(int64_t needed, int64_t limit)
    : Error("needs at least " + size_text(needed) + ", and " + size_text(limit) + " are allowed", "--max-memory",
            "allow more, or load weights that are packed (--precision)") {}

void limit_memory(int64_t bytes) {
  account.limit = bytes;
  account.enforced = false;
  account.weights = 0;
  if (bytes == 0) return;
  account.files = resident_bytes() - anonymous_bytes();
  static CountingAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/255);
}

bool memory_is_limited() { return account.limit > 0; }

void check_weights_fit(int64_t weights) {
  if (!memory_is_limited()) return;
  account.enforced = false;
  const int64_t needed = held_beside() + account.mapped + account.tensors + weights;
  if (needed > account.limit) throw OutOfMemory(needed, account.limit);
}

void enforce_memory_limit(int64_t weights) {
  if (!memory_is_limited()) return;
  account.weights += weights;
  account.mapped = std::max<int64_t>(0, account.weights - account.tensors);
  account.worked = false;
  plan();
  const int64_t needed = account.limit - account.allowed + account.tensors;
  if (needed > account.limit) throw OutOfMemory(needed, account.limit);
  account.enforced = true;
}

void renew_memory_plan() {
  if (!account.enforced) return;
  account.worked = true;
  plan();
}

void count_tensor_memory(int64_t bytes) { take(bytes); }

int64_t memory_room() {
  return account.enforced ? account.allowed - account.tensors : std::numeric_limits<int64_t>::max();
}

TensorGrowth::TensorGrowth() : before_(account.tensors) { account.most = before_; }

int64_t TensorGrowth::most() const { return account.most - before_; }

}  // namespace tessera

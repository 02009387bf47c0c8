#pragma once
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace tessera::cpu {

/// Memory for what lives as long as one call, kept from call to call; it begins at a cache line.
class Scratch {
 public:
  template <class T>
  T* of(size_t count) {
    const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
    if (bytes > bytes_) {
      memory_.reset(std::aligned_alloc(64, bytes));
      if (!memory_) throw std::bad_alloc();
      bytes_ = bytes;
    }
    return static_cast<T*>(memory_.get());
  }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  size_t bytes_ = 0;
};

}  // namespace tessera::cpu

#include "core/file_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace tessera {
namespace {

thread_local std::vector<MemoryRange> read_once;

uintptr_t address(const void* memory) { return reinterpret_cast<uintptr_t>(memory); }

}  // namespace

void give_back_pages(MemoryRange pages) {
  if (pages.second == 0) return;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  const uintptr_t begin = address(pages.first) / page * page;
  // Advice: where it is not taken, the pages stay until the system needs them.
  ::madvise(reinterpret_cast<void*>(begin), address(pages.first) + pages.second - begin, MADV_DONTNEED);
}

ReadOncePages::ReadOncePages(std::vector<MemoryRange> pages) { read_once = std::move(pages); }
ReadOncePages::~ReadOncePages() { read_once.clear(); }

void give_back_read(MemoryRange memory) {
  const uintptr_t begin = address(memory.first), end = begin + memory.second;
  const bool may = std::any_of(read_once.begin(), read_once.end(), [&](const MemoryRange& pages) {
    return address(pages.first) <= begin && end <= address(pages.first) + pages.second;
  });
  if (may) give_back_pages(memory);
}

}  // namespace tessera

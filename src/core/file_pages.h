#pragma once
#include <cstddef>
#include <utility>
#include <vector>

namespace tessera {

/// Memory: where it begins, and its bytes.
using MemoryRange = std::pair<const void*, size_t>;

/// Takes pages of a mapped file that were read, and will not be soon, out of this process's memory. Whoever reads them
/// again gets the same numbers, from the file; what was written to them meanwhile is lost.
void give_back_pages(MemoryRange pages);

/// While it lives, this thread may give back what it has read of these pages of a mapped file, which nobody writes to.
class ReadOncePages {
 public:
  explicit ReadOncePages(std::vector<MemoryRange> pages);
  ~ReadOncePages();
  ReadOncePages(const ReadOncePages&) = delete;
  ReadOncePages& operator=(const ReadOncePages&) = delete;
};

/// Gives memory that was read back, where a ReadOncePages says that it may be; other memory stays.
void give_back_read(MemoryRange memory);

}  // namespace tessera

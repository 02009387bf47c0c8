#pragma once
#include <cstddef>
#include <cstdint>

namespace tessera::bench {

/// Reads memory on the calling thread as fast as one core can: in several streams at once, by the widest vectors of the
/// processor, asking for what comes next.
/// @param from   64-byte aligned
/// @param bytes  a multiple of 4 KiB
/// @return the exclusive or of all words, so that every one has to be read
uint32_t read_all(const void* from, size_t bytes);

}  // namespace tessera::bench

#pragma once
#include <cstdint>
#include <functional>

namespace tessera {

/// Calls work(i) for every i below `count`, on all threads; each takes the next one when it has finished its last, so
/// that a thread that the machine holds up holds up no other. What work throws is thrown again here. Within another
/// parallel region it runs on the calling thread. (at::parallel_for is serial in files compiled without OpenMP: ours.)
void in_parallel(int64_t count, const std::function<void(int64_t)>& work);

/// The same for rows, which are too little work to be fetched one by one.
void in_parallel_by_rows(int64_t rows, const std::function<void(int64_t row)>& work);

}  // namespace tessera

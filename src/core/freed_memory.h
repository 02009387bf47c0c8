#pragma once

namespace tessera {

/// From now on, memory that is given back stays with the process and is taken again: a step of training frees and takes
/// the same large tensors, whose pages the system would clear and map anew each time, a fourth of a step of GPT-2. The
/// process holds its peak until it ends. Where the C library is not glibc, nothing changes.
void keep_freed_memory();

}  // namespace tessera

#pragma once

namespace tessera {

/// From now on, memory that is given back stays with the process and is taken again: each layer and each step frees and
/// takes the same large tensors, whose pages the system would clear and map anew each time: a fourth of a training step
/// of GPT-2, a sixth of BERT with 32 texts. The process holds its peak until it ends, or until
/// give_back_freed_memory(). The program and the trainer call it; a program that uses the library may. Where the C
/// library is not glibc, nothing changes.
void keep_freed_memory();

}  // namespace tessera

#pragma once

namespace tessera {

/// Sets how many threads LibTorch and Tessera use. 0 means TESSERA_THREADS where it is set, else all cores; LibTorch by
/// itself counts one thread on some machines.
/// @throws Error when TESSERA_THREADS is not a positive number
void use_threads(int count = 0);

/// The number that use_threads() set.
int threads();

}  // namespace tessera

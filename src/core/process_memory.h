#pragma once
#include <cstdint>

namespace tessera {

/// Bytes of memory that this process holds now, pages of mapped files among them; 0 where the system does not say.
int64_t resident_bytes();
/// Those of them that are no pages of files.
int64_t anonymous_bytes();
/// The most that it has held since it began, or since that was forgotten; 0 likewise.
int64_t peak_resident_bytes();
/// The peak is what is held now. @return false where the system has no such thing
bool forget_peak();

/// Gives memory that was freed back to the system, also where it was to be kept (freed_memory.h).
void give_back_freed_memory();

}  // namespace tessera

#pragma once
#include <string>

#include "io/checkpoint.h"

namespace tessera {

/// Takes the pages of a tensor that was read, and will not be soon, out of this process's memory. Whoever reads it
/// again gets the same numbers, from the file. What was written to these pages meanwhile is lost.
/// @throws Error as Checkpoint::tensor() does
void give_back_pages(const Checkpoint& checkpoint, const std::string& name);

}  // namespace tessera

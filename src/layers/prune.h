#pragma once
#include <string>
#include <vector>

#include "layers/module.h"

namespace tessera {

/// Sets all but the `kept` weights of largest magnitude of every `of` consecutive inputs of an output to zero, in every
/// linear layer but those that give logits and those whose inputs are no multiple of `of`: magnitude pruning (Han et
/// al., 2015) to a pattern that prepare() keeps in fewer bytes where it is one of kSparsePatterns, as 2 of 4 (Mishra et
/// al., 2021).
/// @return the paths of the layers
/// @throws Error where `kept` is not between 1 and `of`, or weights are packed already
std::vector<std::string> prune_by_magnitude(Module& model, int64_t kept = 2, int64_t of = 4);

}  // namespace tessera

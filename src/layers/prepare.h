#pragma once
#include <string>
#include <vector>

#include "layers/module.h"
#include "layers/preparable.h"

namespace tessera {

/// What became of one part of a model.
struct PreparedPart {
  std::string path, kind;  ///< module path; "Linear"
  int64_t parameters = 0;  ///< of the part itself
  int64_t bytes = 0;       ///< of its packed weights; 0 where it stays as it is
  std::string left;        ///< why it stays as it is; empty: it was swapped
};

/// Makes a model ready for inference on this CPU: its leaf parts (linear layers, norms, token tables, the embedding of
/// patches) take their fast forms, with weights packed in this precision. The model is in eval mode then and has no
/// gradients. Tensors between blocks stay float32. Its weights are gone: it cannot be saved.
/// @return every part that has parameters of its own
std::vector<PreparedPart> prepare(Module& model, Precision precision);

}  // namespace tessera

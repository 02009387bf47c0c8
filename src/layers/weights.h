#pragma once
#include "io/checkpoint.h"
#include "io/name_table.h"
#include "layers/module.h"

namespace tessera {

/// How one tensor stood in the file that a model was loaded from.
struct StoredTensor {
  std::string name;  ///< published
  torch::ScalarType dtype = torch::kFloat32;
  std::vector<int64_t> shape;  ///< as published: a file may keep [1] where the module has a scalar
  Place place;                 ///< empty path: ignored
  Tensor ignored;              ///< what was not needed, as it was
};
using StoredTensors = std::vector<StoredTensor>;

/// Fills the parameters and buffers of a module from a checkpoint, strictly: every tensor of the file has a place or is
/// ignored by the table, every parameter and buffer is filled, every shape fits. Float tensors are converted to the
/// module's type; one of the same type is the mapping itself, copied page by page where it is written to.
/// @param keep_types  weights keep the floating type of the file, for prepare(), which reads each once
/// @throws Error naming the tensors
StoredTensors load_weights(Module& module, const Checkpoint& checkpoint, const NameTable& names,
                           bool keep_types = false);

/// The tensors to write so that the file is as it was, but for values that changed. Without `stored` (a new model) the
/// names are the table's and the floating type is `dtype`.
std::vector<std::pair<std::string, Tensor>> published_tensors(Module& module, const NameTable& names,
                                                              const StoredTensors& stored,
                                                              torch::ScalarType dtype = torch::kFloat32);

/// The part of a parameter (or of its gradient) that a place stands for, as it is published.
Tensor published_part(const Tensor& whole, const Place& place);

/// All parameters and buffers of a module by path.
std::map<std::string, Tensor> named_tensors(const Module& module);

}  // namespace tessera

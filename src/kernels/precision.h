#pragma once
#include <string>
#include <vector>

namespace tessera {

/// What the weights of a prepared model are kept in, and what its products are computed in.
enum class Precision {
  kFloat32,
  kBfloat16,     ///< weights and inputs in bfloat16, sums in float32
  kInt8,         ///< weights in int8 with a scale per output, inputs in int8 with a scale per token, sums in int32
  kInt8Weights,  ///< weights as above, products in bfloat16
  kInt4,         ///< weights in int4 with a scale for every 32 inputs of an output
  kInt4Wide,     ///< the same for every 128 inputs
};

/// The names in this order: float32, bfloat16, int8, int8-weights, int4, int4-128.
const std::vector<std::string>& precision_names();
/// @throws Error for another name
Precision precision_of(const std::string& name, const std::string& where);

}  // namespace tessera

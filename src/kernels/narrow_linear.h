#pragma once
#include <torch/types.h>

namespace tessera {

/// A layer's weights as they lie on a device other than the CPU: bfloat16, or int8 with a factor for each output.
struct NarrowWeights {
  torch::Tensor weight;  ///< out x in
  torch::Tensor scale;   ///< out, float32: of int8; undefined with bfloat16
  torch::Tensor bias;    ///< out; undefined without
};

/// int8 with the factor that gives each output its largest weight back.
/// @param weight  out x in, of any floating type
NarrowWeights rounded_to_int8(const torch::Tensor& weight);

/// y = x W^T + b in bfloat16 by LibTorch's products. With `eight_bits`, weights in int8 and enough rows the inputs are
/// rounded to int8, too, with a factor a row, where LibTorch multiplies bytes on that device (2.2 and CUDA); elsewhere
/// the weights are widened for the product.
/// @param x  ... x in, floating
/// @return ... x out, bfloat16
torch::Tensor narrow_linear(const torch::Tensor& x, const NarrowWeights& layer, bool eight_bits);

}  // namespace tessera

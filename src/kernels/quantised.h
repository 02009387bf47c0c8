#pragma once
#include <torch/types.h>

namespace tessera {

/// A weight, outputs x inputs, in fewer bits.
struct Quantised {
  torch::Tensor numbers;  ///< int8, outputs x inputs
  torch::Tensor scales;   ///< float32, outputs x groups: what makes them the weights again
};

/// To the nearest (no calibration): in int8 one scale an output, and the largest weight is 127.
Quantised to_int8(const torch::Tensor& weight);
/// Numbers from -8 to 7, one scale for every `group` inputs of an output; the largest weight of a group, with its sign,
/// is -8. The scales are numbers of float16. Inputs that are no multiple of the group are filled up with zeros.
Quantised to_int4(const torch::Tensor& weight, int64_t group);
/// The weight that the numbers stand for, float32, outputs x inputs.
torch::Tensor dequantised(const Quantised& quantised);

/// Numbers of int4 as bytes, in panels of 64 outputs (see panels.h): [panel][input / 8][64][4], where byte i keeps
/// input i in its lower half and input 4 + i in its upper, each plus 8.
torch::Tensor to_int4_panels(const torch::Tensor& numbers);

}  // namespace tessera

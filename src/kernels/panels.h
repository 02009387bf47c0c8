#pragma once
#include <torch/types.h>

#include <algorithm>

namespace tessera {

/// How packed weights lie: panels of 64 outputs, one after the other, which every kernel reads from front to end. In a
/// panel the inputs follow each other in groups of as many as one instruction sums up; outputs and inputs are filled up
/// with zeros.
///
///   float32    [panel][input][64]
///   bfloat16   [panel][input / 2][64][2]
///   int8       [panel][input / 4][64][4]
constexpr int64_t kPanel = 64;

/// The inputs that one instruction sums up: 1, 2 or 4.
int64_t inputs_together(torch::ScalarType type);
/// The inputs of a panel of so many, with the zeros behind them: a multiple of 16 groups.
int64_t padded_inputs(int64_t inputs, torch::ScalarType type);

/// Calls work(first, count) for some outputs after the other: what packing needs on the way is of those alone, and not
/// several times the weights of a layer. The first is a multiple of kPanel.
template <class Work>
void by_slices(int64_t outputs, const Work& work) {
  constexpr int64_t kTogether = 8 * kPanel;
  for (int64_t first = 0; first < outputs; first += kTogether) work(first, std::min(kTogether, outputs - first));
}

/// @param weight  outputs x inputs, of the type of the panels
/// @return panels x inputs / group x 64 x group, contiguous
torch::Tensor to_panels(const torch::Tensor& weight);
/// The same of so many inputs, with zeros behind those of the weight. @param inputs  a multiple of inputs_together()
torch::Tensor to_panels(const torch::Tensor& weight, int64_t inputs);

}  // namespace tessera

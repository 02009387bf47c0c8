#pragma once
#include "layers/mamba.h"

namespace tessera {

/// The kernels of recurrences (kernels/recurrence.h) with gradients: of the states on the way a sixteenth is kept, and
/// the others are computed again, block by block, from the last token to the first. All tensors are float32 on the CPU.
/// There are no gradients of the gradients: @throws Error where they are asked for

/// selective_scan() by fused_selective_scan(), which is all that is done where nothing needs a gradient.
SelectiveResult selective_scan_with_gradient(const SelectiveInputs& in, const Tensor& state);

/// weighted_means(), likewise.
Tensor weighted_means_with_gradient(const Tensor& key, const Tensor& value, const Tensor& decay, const Tensor& bonus);

}  // namespace tessera

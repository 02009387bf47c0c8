#pragma once
#include "layers/device.h"
#include "vlm/vision_language.h"

namespace tessera {

/// The batch with its pixels and ids there; the sizes of pictures stay where they are read.
MultimodalBatch moved(const MultimodalBatch& batch, torch::Device device);

}  // namespace tessera

#pragma once
#include "parity/golden.h"

namespace tessera::parity {

/// Cross entropy over pictures and over texts, averaged: the loss of CLIP for logits of pictures x texts.
Tensor contrastive(const Tensor& logits);

}  // namespace tessera::parity

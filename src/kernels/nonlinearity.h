#pragma once

namespace tessera {

/// The activations that kernels know; see activation() in layers/ for their names.
enum class Nonlinearity { kIdentity, kGelu, kGeluTanh, kQuickGelu, kRelu, kSilu, kTanh, kSigmoid };

}  // namespace tessera

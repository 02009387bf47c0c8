#pragma once
#include "parity/golden.h"

namespace tessera::parity {

/// How a reference keeps results that the taps have as tokens B x L x D or as maps B x D x h x w.
enum class Layout { kAsTapped, kMaps, kChannelsLast };

/// The system of a golden whose calls are pictures ("x" or "pixel_values") to "logits" of an ImageClassifier.
System classifier(const Golden& golden, Layout layout = Layout::kAsTapped);

}  // namespace tessera::parity

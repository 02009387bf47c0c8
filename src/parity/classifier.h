#pragma once
#include "parity/golden.h"

namespace tessera::parity {

/// The system of a golden whose calls are pictures ("x" or "pixel_values") to "logits" of an ImageClassifier.
System classifier(const Golden& golden);

/// Results within a classifier that the reference has as B x H x W x C and the taps as B x C x H x W: by the name of
/// the case's internal, the path of the tap.
System classifier(const Golden& golden, const std::map<std::string, std::string>& channels_last);

}  // namespace tessera::parity

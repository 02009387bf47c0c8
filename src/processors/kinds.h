#pragma once
#include <map>
#include <string>

#include "processors/options.h"

namespace tessera::detail {

/// The published defaults of every supported image processor, by the name of its class without the suffix.
const std::map<std::string, ImageProcessorOptions>& published_kinds();

}  // namespace tessera::detail

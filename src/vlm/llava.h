#pragma once
#include "vlm/published.h"

namespace tessera {

/// What LLaVA and LLaVA-NeXT read alike from their config.
struct LlavaParts {
  VisionTower tower;
  VisionLanguageParts parts;
  VisionLanguageOptions options;
  NameTable names;
};

/// Reads all of the config but what a relative has beside it, which its caller reads before done().
LlavaParts read_llava(PublishedConfig& config);

}  // namespace tessera

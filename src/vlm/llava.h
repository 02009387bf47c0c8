#pragma once
#include "vlm/published.h"

namespace tessera {

/// LLaVA and LLaVA-1.5: a VisionLanguage that is asked as a Vicuna is.
class Llava : public VisionLanguage {
 public:
  using VisionLanguage::VisionLanguage;
  std::string question_prompt(const std::string& question, int64_t pictures) const override;
};

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

#pragma once
#include "vlm/vision_language.h"

namespace tessera {

/// Idefics2 (Laurençon et al., 2024): SigLIP at the pictures' own aspect, a resampler to a fixed number of tokens, and
/// Mistral.
class Idefics2 : public VisionLanguage {
 public:
  using VisionLanguage::VisionLanguage;
  /// Pixels are N x C x H x W with their mask N x H x W, or B x n x C x H x W with B x n x H x W: the n parts of each
  /// picture, or n pictures for each text. Those of zeros alone fill up such a batch and are left out.
  std::vector<Tensor> picture_tokens(const MultimodalBatch& batch) override;
  /// Each picture, or part of one, stands between two tokens of its own, of which neighbours share one.
  std::string expand_placeholders(const std::string& text, const ImageBatch& pictures) const override;
  std::string question_prompt(const std::string& question, int64_t pictures) const override;
};

}  // namespace tessera

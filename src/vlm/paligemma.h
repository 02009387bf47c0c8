#pragma once
#include "vlm/vision_language.h"

namespace tessera {

/// PaliGemma (Beyer et al., 2024) and PaliGemma 2 (Steiner et al., 2024): SigLIP, a linear bridge and Gemma, which
/// reads picture and prompt in both directions. type_ids say which tokens those are: 0 the prompt, 1 the answer;
/// without them attention is causal everywhere.
class PaliGemma : public VisionLanguage {
 public:
  using VisionLanguage::VisionLanguage;
  Tokens join(const std::vector<Tensor>& pictures, const TextBatch& text) override;
  /// All pictures stand before the text, which begins with <bos> and ends with a newline.
  std::string expand_placeholders(const std::string& text, const ImageBatch& pictures) const override;
  /// "answer en QUESTION", and "caption de": the tasks that it was trained with.
  std::string question_prompt(const std::string& question, int64_t pictures) const override;
  std::string caption_prompt(const CaptionLanguage& language, int64_t pictures) const override;
  /// With nothing added: the expanded prompt spells its begin token.
  Encoding prompt_ids(const std::string& prompt, const Tokenizer& tokenizer) const override;
};

}  // namespace tessera

#pragma once
#include "core/registry.h"
#include "core/text_batch.h"
#include "core/tokens.h"
#include "layers/module.h"

namespace tessera {

/// Ids to tokens: B x L in, features B x L x width() out.
class TextEncoder : public Module {
 public:
  virtual Tokens forward(const TextBatch& text) = 0;
  virtual int64_t width() const = 0;
  /// The longest sequence that it can read; 0 when there is no limit.
  virtual int64_t context() const = 0;
};

/// The text encoders by the "kind" of a recipe.
Registry<TextEncoder>& text_encoders();

/// The rules of pool_text().
const std::vector<std::string>& text_pools();

/// Which token stands for the sentence: "first", "last" (the last position), "mean" (of the real tokens), "highest-id"
/// (the first CLIP: the end token has the largest id), "end" (the first position that holds `end_id`, else position 0).
/// @return B x D
Tensor pool_text(const std::string& kind, const Tokens& tokens, const TextBatch& text, int64_t end_id);

}  // namespace tessera

#pragma once
#include "core/registry.h"
#include "core/text_batch.h"
#include "core/tokens.h"
#include "layers/module.h"

namespace tessera {

/// The tokens of pictures to tokens that a language model reads among those of its text.
class Bridge : public Module {
 public:
  /// @param visual  one picture (or tile, or frame) a row, as an encoder gives it: N x L x D
  /// @param text    what a bridge may read beside each picture (InstructBLIP's instruction), N x Q; null: nothing
  /// @return N x M x width()
  /// @throws Error where the bridge needs a text and there is none, or the reverse
  virtual Tokens forward(const Tokens& visual, const TextBatch* text = nullptr) = 0;
  /// Whether it needs that text.
  virtual bool reads_text() const { return false; }
  /// Of its tokens: that of the language model.
  virtual int64_t width() const = 0;
  /// Of the encoder's tokens; 0: any.
  virtual int64_t source_width() const { return 0; }
  /// How many tokens it makes of `visual` ones.
  virtual int64_t length(int64_t visual) const { return visual; }

 protected:
  /// For a bridge that reads no text. @throws Error where there is one
  static void refuse_text(const TextBatch* text);
};

/// The bridges by the "kind" of a recipe.
Registry<Bridge>& bridges();

}  // namespace tessera

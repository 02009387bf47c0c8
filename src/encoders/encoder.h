#pragma once
#include "core/registry.h"
#include "core/tokens.h"
#include "layers/module.h"

namespace tessera {

/// A signal to tokens: pixels B x C x H x W in, features B x L x width() out.
class Encoder : public Module {
 public:
  virtual Tokens forward(const Tensor& pixels) = 0;
  /// Pictures of different sizes in one batch.
  /// @param real  B x H x W, true where a pixel belongs to the picture; undefined: all do
  /// @throws Error where some do not, unless the encoder overrides it: most read whole pictures
  virtual Tokens forward(const Tensor& pixels, const Tensor& real);
  virtual int64_t width() const = 0;

  /// How the tokens of a picture lie.
  struct Layout {
    Grid grid;           ///< rows and columns
    int64_t prefix = 0;  ///< tokens before them
    int64_t suffix = 0;  ///< tokens after them
  };
  /// The layout of a picture of this many pixels, without encoding it.
  virtual Layout layout(int64_t height, int64_t width) const = 0;
};

/// The encoders by the "kind" of a recipe.
Registry<Encoder>& encoders();

}  // namespace tessera

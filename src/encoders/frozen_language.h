#pragma once
#include "encoders/encoder.h"
#include "layers/block.h"
#include "layers/linear.h"

namespace tessera {

struct FrozenLanguageOptions {
  Json encoder = {{"kind", "vit"}, {"final_norm", false}};  ///< what sees the picture, without a norm at its end
  int64_t dim = 4096, heads = 32, ffn = 11008, depth = 1;   ///< of the language model's layers
  std::string norm = "rms", activation = "silu";
  double eps = 1e-6;
  bool gated = true, bias = false;
  bool stack_norm = true;  ///< the language model's own norm behind its layers
  bool final_norm = true;  ///< the encoder's norm, which stands behind all
  double final_eps = 1e-6;
};
TESSERA_OPTIONS(FrozenLanguageOptions, encoder, dim, heads, ffn, depth, norm, activation, eps, gated, bias, stack_norm,
                final_norm, final_eps)

/// Layers of a language model, frozen, at the end of an image encoder (Pang et al., 2023): two linear maps lead to
/// their width and back. They know no positions and no order here: every token sees all others. Gradients pass through
/// them, and they learn nothing.
class FrozenLanguage : public Encoder {
 public:
  explicit FrozenLanguage(const FrozenLanguageOptions& options);
  Tokens forward(const Tensor& pixels) override { return continued(encoder_->forward(pixels)); }
  Tokens forward(const Tensor& pixels, const Tensor& real) override {
    return continued(encoder_->forward(pixels, real));
  }
  int64_t width() const override { return encoder_->width(); }
  Layout layout(int64_t height, int64_t width) const override { return encoder_->layout(height, width); }

 private:
  Tokens continued(Tokens tokens);

  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Linear> in_, out_;
  std::shared_ptr<ModuleList<Block>> blocks_;
  std::shared_ptr<Norm> stack_norm_, norm_;
};

/// How strongly the tokens are active, which the method's analysis looks at.
struct TokenActivation {
  Tensor magnitude;  ///< B x L, the length of each token's vector
  Tensor frequency;  ///< B x L, the mean absolute angle of its Fourier transform along the channels, in radians
};
TokenActivation token_activation(const Tensor& x);

}  // namespace tessera

#pragma once
#include "encoders/encoder.h"
#include "language/text_encoder.h"
#include "layers/pool.h"

namespace tessera {

/// Two towers that put a picture and a sentence into one space: CLIP (Radford et al., 2021), SigLIP (Zhai et al.,
/// 2023), ALIGN, and any other pair of an encoder and a text encoder.
struct DualEncoderOptions {
  Json image;  ///< an encoder: {"kind": "vit", ...}
  Json image_pool = {{"kind", "first"}};
  std::string image_projection = "linear";  ///< none, linear (no bias) or affine
  Json text;                                ///< a text encoder: {"kind": "text-transformer", ...}
  std::string text_pool = "end";            ///< see pool_text()
  std::string text_projection = "linear";
  int64_t end_id = 49407;       ///< for text_pool "end"
  int64_t dim = 512;            ///< of the shared space; of a side without projection, the tower's width
  double logit_scale = 2.6592;  ///< first value of the logarithm of the temperature's inverse, ln(1 / 0.07)
  std::optional<double> logit_bias = std::nullopt;  ///< first value of a learned bias of the logits (SigLIP)
};

TESSERA_OPTIONS(DualEncoderOptions, image, image_pool, image_projection, text, text_pool, text_projection, end_id, dim,
                logit_scale, logit_bias)

class DualEncoder : public Module {
 public:
  explicit DualEncoder(const DualEncoderOptions& options);

  /// B x C x H x W -> B x dim, not normalised.
  Tensor encode_image(const Tensor& pixels);
  /// The same from what the picture tower made of the pixels.
  Tensor encode_image(const Tokens& tokens);
  /// B x L -> B x dim, not normalised.
  Tensor encode_text(const TextBatch& text);
  /// exp(logit_scale) * images . texts + logit_bias for features that it normalises: images x texts.
  Tensor logits(const Tensor& image_features, const Tensor& text_features) const;

  Encoder& image() { return *image_; }
  TextEncoder& text() { return *text_; }
  const DualEncoderOptions& options() const { return options_; }

  Tensor logit_scale;  ///< scalar, logarithm
  Tensor logit_bias;   ///< scalar; undefined without

 private:
  DualEncoderOptions options_;
  std::shared_ptr<Encoder> image_;
  std::shared_ptr<TextEncoder> text_;
  std::shared_ptr<Pool> image_pool_;
  std::shared_ptr<Linear> image_projection_, text_projection_;
};

/// Reads the options of a DualEncoder from a recipe or from the config.json that save_model() wrote.
std::shared_ptr<DualEncoder> make_dual_encoder(const Json& options, const std::string& where);

/// x / |x| along the last axis.
Tensor unit(const Tensor& x);

}  // namespace tessera

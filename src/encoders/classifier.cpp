#include "encoders/classifier.h"

namespace tessera {

ImageClassifier::ImageClassifier(const ImageClassifierOptions& options) : options_(options) {
  const auto& o = options_;
  encoder_ = register_module("encoder", encoders().make(o.encoder, "encoder"));
  pool_ = register_module("pool", pools().make(o.pool, "pool"));
  const int64_t width = pool_->width(encoder_->width());
  head_ = add<Linear>("head", width, o.classes);
  if (o.distillation) distillation_head_ = add<Linear>("distillation_head", encoder_->width(), o.classes);
}

Tensor ImageClassifier::forward(const Tensor& pixels) {
  const Tokens tokens = encoder_->forward(pixels);
  const Tensor logits = head_->forward(pool_->forward(tokens));
  if (!distillation_head_) return logits;
  return (logits + distillation_head_->forward(tokens.x.select(1, 1))) / 2;
}

}  // namespace tessera

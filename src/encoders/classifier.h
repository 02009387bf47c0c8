#pragma once
#include "encoders/encoder.h"
#include "layers/linear.h"
#include "layers/pool.h"

namespace tessera {

/// An encoder with a linear classifier on its pooled tokens.
struct ImageClassifierOptions {
  Json encoder;
  Json pool = {{"kind", "first"}};
  bool distillation = false;  ///< a second classifier reads token 1, and the logits are the mean of both (DeiT)
  int64_t classes = 1000;
};

class ImageClassifier : public Module {
 public:
  explicit ImageClassifier(const ImageClassifierOptions& options);

  /// B x C x H x W -> logits, B x classes.
  Tensor forward(const Tensor& pixels);
  Encoder& encoder() { return *encoder_; }

  /// Names of the classes, where the model's config gives them.
  std::vector<std::string> labels;

 private:
  ImageClassifierOptions options_;
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Linear> head_, distillation_head_;
};

}  // namespace tessera

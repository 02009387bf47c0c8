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
  std::vector<std::string> labels = {};  ///< names of the classes; empty where nobody gives them
};
TESSERA_OPTIONS(ImageClassifierOptions, encoder, pool, distillation, classes, labels)

class ImageClassifier : public Module {
 public:
  /// @throws Error where there are labels, but not one for each class
  explicit ImageClassifier(const ImageClassifierOptions& options);

  /// B x C x H x W -> logits, B x classes.
  Tensor forward(const Tensor& pixels);
  Encoder& encoder() { return *encoder_; }

  /// Names of the classes, where the model's config gives them; else empty.
  std::vector<std::string> labels;

 private:
  ImageClassifierOptions options_;
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Linear> head_, distillation_head_;
};

/// Reads the options of an ImageClassifier from a recipe or from the config.json that save_model() wrote.
std::shared_ptr<ImageClassifier> make_image_classifier(const Json& options, const std::string& where);

}  // namespace tessera

#include "encoders/classifier.h"

#include "core/error.h"
#include "io/published_config.h"
#include "layers/device.h"
#include "layers/family.h"

namespace tessera {

ImageClassifier::ImageClassifier(const ImageClassifierOptions& options) : labels(options.labels), options_(options) {
  const auto& o = options_;
  if (!labels.empty() && static_cast<int64_t>(labels.size()) != o.classes)
    throw Error(std::to_string(labels.size()) + " labels are given for " + std::to_string(o.classes) + " classes",
                "labels", "give one for each class, or none");
  encoder_ = register_module("encoder", encoders().make(o.encoder, "encoder"));
  pool_ = register_module("pool", pools().make(o.pool, "pool"));
  const int64_t width = pool_->width(encoder_->width());
  head_ = add<Linear>("head", width, o.classes);
  if (o.distillation) distillation_head_ = add<Linear>("distillation_head", encoder_->width(), o.classes);
}

Tensor ImageClassifier::forward(const Tensor& pixels) {
  const Tokens tokens = encoder_->forward(pixels.to(device_of(*this)));
  const Tensor logits = head_->forward(pool_->forward(tokens));
  if (!distillation_head_) return logits;
  return (logits + distillation_head_->forward(tokens.x.select(1, 1))) / 2;
}

std::shared_ptr<ImageClassifier> make_image_classifier(const Json& options, const std::string& where) {
  return std::make_shared<ImageClassifier>(read_options<ImageClassifierOptions>(options, where));
}

namespace {

const FamilyRegistration own(
    {"image-classifier", "encoder of any kind with a linear classifier (Tessera)",
     [](const Json& config) { return is_model_type(config, {"tessera-image-classifier"}); },
     [](const Json& json, const std::string& where) -> Assembly {
       PublishedConfig config(json, where);
       const Json options = config.nested("image_classifier").json();
       config.done();
       return {make_image_classifier(options, where + ": image_classifier"), NameTable{{"*", "*"}}};
     }});

}  // namespace
}  // namespace tessera

#include "fusion/dual_encoder.h"

#include "core/error.h"
#include "layers/device.h"

namespace tessera {

namespace {

std::shared_ptr<Linear> projection(const std::string& kind, int64_t in, int64_t out, const std::string& where) {
  check_choice(kind, {"none", "linear", "affine"}, where);
  if (kind != "none") return std::make_shared<Linear>(in, out, kind == "affine");
  if (in != out)
    throw Error("width " + std::to_string(in) + " is not the shared " + std::to_string(out), where,
                "ask for a projection");
  return nullptr;
}

}  // namespace

DualEncoder::DualEncoder(const DualEncoderOptions& options) : options_(options) {
  const auto& o = options_;
  check_choice(o.text_pool, text_pools(), "text_pool");
  image_ = register_module("image", encoders().make(o.image, "image"));
  image_pool_ = register_module("image_pool", pools().make(o.image_pool, "image_pool"));
  text_ = register_module("text", text_encoders().make(o.text, "text"));
  image_projection_ = projection(o.image_projection, image_->width(), o.dim, "image_projection");
  text_projection_ = projection(o.text_projection, text_->width(), o.dim, "text_projection");
  if (image_projection_) register_module("image_projection", image_projection_);
  if (text_projection_) register_module("text_projection", text_projection_);
  logit_scale = register_parameter("logit_scale", torch::full({}, o.logit_scale));
  if (o.logit_bias) logit_bias = register_parameter("logit_bias", torch::full({}, *o.logit_bias));
}

Tensor DualEncoder::encode_image(const Tensor& pixels) {
  return encode_image(image_->forward(pixels.to(device_of(*this))));
}

Tensor DualEncoder::encode_image(const Tokens& tokens) {
  const Tensor pooled = image_pool_->forward(tokens);
  return image_projection_ ? image_projection_->forward(pooled) : pooled;
}

Tensor DualEncoder::encode_text(const TextBatch& given) {
  const TextBatch text = moved(given, device_of(*this));
  const Tensor pooled =
      tap(*this, pool_text(options_.text_pool, text_->forward(text), text, options_.end_id), "text_pooled");
  return text_projection_ ? text_projection_->forward(pooled) : pooled;
}

Tensor DualEncoder::logits(const Tensor& image_features, const Tensor& text_features) const {
  const torch::Device device = logit_scale.device();
  const Tensor cosine = torch::matmul(unit(image_features.to(device)), unit(text_features.to(device)).t());
  const Tensor scaled = cosine * logit_scale.exp();
  return logit_bias.defined() ? scaled + logit_bias : scaled;
}

std::shared_ptr<DualEncoder> make_dual_encoder(const Json& options, const std::string& where) {
  return std::make_shared<DualEncoder>(read_options<DualEncoderOptions>(options, where));
}

Tensor unit(const Tensor& x) { return x / x.norm(2, -1, true); }

}  // namespace tessera

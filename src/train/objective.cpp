#include "train/objective.h"

#include "core/error.h"

namespace tessera {

void check_objective(const ObjectiveOptions& o, const std::string& where) {
  check_choice(o.kind, {"info-nce", "sigmoid"}, where + ".kind");
  if (o.image_weight < 0 || o.text_weight < 0 || o.image_weight + o.text_weight <= 0)
    throw Error("the weights must not be negative nor both zero", where + ".image_weight");
  if (o.label_smoothing < 0 || o.label_smoothing >= 1) throw Error("must lie in [0, 1)", where + ".label_smoothing");
  if (o.proxy_smoothing < 0 || o.proxy_smoothing >= 1) throw Error("must lie in [0, 1)", where + ".proxy_smoothing");
  if (o.text_alignment < 0) throw Error("must not be negative", where + ".text_alignment");
  if (o.text_alignment > 0 && o.image_proxies <= 0)
    throw Error("needs the vectors that pictures are trained with", where + ".text_alignment",
                "set image_proxies above 0");
  if (o.proxy_scale <= 0) throw Error("must be positive", where + ".proxy_scale");
  if (o.max_scale <= 0) throw Error("must be positive", where + ".max_scale");
}

Tensor match_cross_entropy(const Tensor& logits, const Tensor& match, double smoothing) {
  const Tensor allowed = match.ge(0);
  const Tensor matches = match.gt(0).to(logits.scalar_type());
  const Tensor count = matches.sum(1, true);  // rows x 1
  const Tensor counts = count.squeeze(1).gt(0).to(logits.scalar_type());
  Tensor target = matches / count.clamp_min(1);
  if (smoothing > 0) {
    const Tensor even = allowed.to(logits.scalar_type());
    target = (1 - smoothing) * target + smoothing * even / even.sum(1, true).clamp_min(1);
  }
  // Not minus infinity: a row without any candidate would make NaNs that its weight of zero does not remove.
  const Tensor shown = logits.masked_fill(~allowed, -1e30);
  const Tensor log_likelihood = torch::log_softmax(shown, 1).masked_fill(~allowed, 0);
  const Tensor rows = -(target * log_likelihood).sum(1);
  return (rows * counts).sum() / counts.sum().clamp_min(1);
}

Tensor info_nce(const Tensor& logits, const Tensor& match, double image_weight, double text_weight, double smoothing) {
  Tensor loss = torch::zeros({}, logits.options());
  if (image_weight > 0) loss = loss + image_weight * match_cross_entropy(logits, match, smoothing);
  if (text_weight > 0) loss = loss + text_weight * match_cross_entropy(logits.t(), match.t(), smoothing);
  return loss / (image_weight + text_weight);
}

Tensor sigmoid_loss(const Tensor& logits, const Tensor& match) {
  const Tensor sign = match.gt(0).to(logits.scalar_type()) * 2 - 1;
  const Tensor counts = match.ge(0).to(logits.scalar_type());
  return -(torch::log_sigmoid(sign * logits) * counts).sum() / logits.size(0);
}

Tensor contrastive_loss(const ObjectiveOptions& o, const Tensor& logits, const Tensor& match,
                        const std::vector<int64_t>& begins) {
  Tensor loss = torch::zeros({}, logits.options());
  const size_t groups = begins.size() - 1;
  for (size_t g = 0; g < groups; ++g) {
    const int64_t count = begins[g + 1] - begins[g];
    const Tensor some = logits.narrow(1, begins[g], count), which = match.narrow(1, begins[g], count);
    loss = loss + (o.kind == "sigmoid" ? sigmoid_loss(some, which)
                                       : info_nce(some, which, o.image_weight, o.text_weight, o.label_smoothing));
  }
  return loss / static_cast<double>(groups);
}

Tensor proxy_loss(const Tensor& features, const Tensor& proxies, const Tensor& scale, const Tensor& labels,
                  double smoothing) {
  const Tensor rows = labels.ge(0).nonzero().squeeze(1);
  if (rows.size(0) == 0) return torch::zeros({}, features.options());
  const Tensor logits = scale * torch::matmul(features.index_select(0, rows), proxies.t());
  return torch::cross_entropy_loss(logits, labels.index_select(0, rows), {}, at::Reduction::Mean, -100, smoothing);
}

Tensor alignment_loss(const Tensor& features, const Tensor& proxies, const Tensor& labels) {
  const Tensor rows = labels.ge(0).nonzero().squeeze(1);
  if (rows.size(0) == 0) return torch::zeros({}, features.options());
  const Tensor wanted = proxies.detach().index_select(0, labels.index_select(0, rows));
  return 1 - (features.index_select(0, rows) * wanted).sum(1).mean();
}

}  // namespace tessera

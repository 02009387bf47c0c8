#include "layers/width_mask.h"

#include "core/error.h"

namespace tessera {

Tensor masked_layer_norm(const Tensor& x, const Tensor& mask, const Tensor& weight, const Tensor& bias, double eps) {
  const Tensor count = mask.sum(-1, true);                                                  // B x 1 x 1
  const Tensor mean = x.sum(-1, true) / count;                                              // B x L x 1
  const Tensor variance = (x.square().sum(-1, true) / count - mean.square()).clamp_min(0);  // B x L x 1
  return (x - mean) * torch::rsqrt(variance + eps) * weight + bias;
}

Tensor prefix_mask(const Tensor& kept, int64_t channels) {
  return torch::arange(channels, kept.options()).lt(kept.view({-1, 1, 1})).to(torch::kFloat32);
}

Tensor WidthMask::change(const Tensor&, const Tensor& y, const LayerWeights&) {
  return mask.defined() ? y * mask.to(y.scalar_type()) : y;
}

LayerWeights WidthMask::merged(const LayerWeights&) {
  throw Error("a mask of widths is no part of a layer's weights", "super-network", "extract a sub-network instead");
}

Tensor MaskedNorm::change(const Tensor& x, const Tensor& y, const LayerWeights& layer) {
  if (!mask.defined()) return y;
  const Tensor kept = mask.to(x.scalar_type());
  return masked_layer_norm(x, kept, layer.weight, layer.bias, eps_) * kept;
}

}  // namespace tessera

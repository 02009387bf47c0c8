#include "tune/low_rank.h"

#include <algorithm>
#include <cmath>

namespace tessera {
namespace {

/// The authors' first values: uniform within 1 / sqrt(fan in).
Tensor uniform(int64_t rows, int64_t columns) {
  const double bound = 1 / std::sqrt(static_cast<double>(columns));
  return torch::empty({rows, columns}).uniform_(-bound, bound);
}

}  // namespace

LowRank::LowRank(const LowRankOptions& options, const LayerWeights& layer) : options_(options) {
  const auto& o = options_;
  const auto count = static_cast<int64_t>(std::count(o.parts.begin(), o.parts.end(), true));
  const bool whole = o.parts.empty();
  const auto all = static_cast<int64_t>(o.parts.size());
  a = register_parameter("a", uniform(o.rank * (whole ? 1 : count), o.in));
  b = register_parameter("b", torch::zeros({whole ? o.out : o.out / all * count, o.rank}));
  if (o.magnitude) magnitude = register_parameter("magnitude", layer.weight.detach().norm(2, {1}).clone());
  if (o.bias && layer.bias.defined()) bias = register_parameter("bias", layer.bias.detach().clone());
}

Tensor LowRank::branch(const Tensor& x) {
  const auto& o = options_;
  const Tensor dropped = o.dropout > 0 ? torch::dropout(x, o.dropout, is_training()) : x;
  const Tensor inner = torch::linear(dropped, a);  // ... x rank (per branch)
  if (o.parts.empty()) return o.scale * torch::linear(inner, b);
  const int64_t size = o.out / static_cast<int64_t>(o.parts.size());
  std::vector<Tensor> pieces;
  int64_t used = 0;
  for (const bool part : o.parts) {
    if (part) {
      pieces.push_back(torch::linear(inner.narrow(-1, used * o.rank, o.rank), b.narrow(0, used * size, size)));
      ++used;
    } else {
      auto shape = x.sizes().vec();
      shape.back() = size;
      pieces.push_back(torch::zeros(shape, inner.options().requires_grad(false)));
    }
  }
  return o.scale * torch::cat(pieces, -1);
}

Tensor LowRank::delta() const {
  const auto& o = options_;
  if (o.parts.empty()) return o.scale * b.matmul(a);
  const int64_t size = o.out / static_cast<int64_t>(o.parts.size());
  std::vector<Tensor> pieces;
  int64_t used = 0;
  for (const bool part : o.parts) {
    pieces.push_back(part ? b.narrow(0, used * size, size).matmul(a.narrow(0, used * o.rank, o.rank))
                          : torch::zeros({size, o.in}, a.options().requires_grad(false)));
    used += part;
  }
  return o.scale * torch::cat(pieces);
}

Tensor LowRank::factor(const Tensor& weight) {
  // The length counts as a constant in the backward pass, as the paper proposes (section 4.3).
  return magnitude / (weight + delta()).detach().norm(2, {1});
}

Tensor LowRank::change(const Tensor& x, const Tensor& y, const LayerWeights& layer) {
  const auto& o = options_;
  Tensor result;
  if (magnitude.defined()) {
    const Tensor scale = factor(layer.weight);
    if (o.dropout > 0 && is_training()) {
      // The weight's own product is taken of the dropped input, too.
      const Tensor dropped = torch::dropout(x, o.dropout, true);
      const Tensor change =
          scale * (torch::linear(dropped, layer.weight) + o.scale * torch::linear(torch::linear(dropped, a), b));
      result = y + change - torch::linear(dropped, layer.weight);
    } else {
      const Tensor plain = layer.bias.defined() ? y - layer.bias : y;
      result = scale * (plain + branch(x));
      if (layer.bias.defined()) result = result + layer.bias;
    }
  } else {
    result = y + branch(x);
  }
  return bias.defined() ? result + (bias - layer.bias) : result;
}

LayerWeights LowRank::merged(const LayerWeights& layer) {
  const Tensor sum = layer.weight + delta();
  return {magnitude.defined() ? factor(layer.weight).unsqueeze(1) * sum : sum, bias.defined() ? bias : layer.bias};
}

LowRankEmbedding::LowRankEmbedding(int64_t count, int64_t dim, int64_t rank, double scale) : scale_(scale) {
  a = register_parameter("a", torch::zeros({rank, count}));
  b = register_parameter("b", torch::randn({dim, rank}));
}

Tensor LowRankEmbedding::change(const Tensor& ids, const Tensor& y, const LayerWeights&) {
  return y + scale_ * torch::linear(torch::embedding(a.t(), ids), b);
}

LayerWeights LowRankEmbedding::merged(const LayerWeights& layer) {
  return {layer.weight + scale_ * b.matmul(a).t(), {}};
}

LowRankConvolution::LowRankConvolution(const ConvolutionOptions& layer, int64_t rank, double scale)
    : options_(layer), scale_(scale) {
  const int64_t k = layer.kernel_height;
  a = register_parameter("a", uniform(rank * k, layer.in * k));
  b = register_parameter("b", torch::zeros({layer.out / layer.groups * k, rank * k}));
}

Tensor LowRankConvolution::change(const Tensor& x, const Tensor& y, const LayerWeights& layer) {
  const auto& o = options_;
  const Tensor delta = scale_ * b.matmul(a).view(layer.weight.sizes());
  return y + torch::conv2d(x, delta, {}, {o.stride_height, o.stride_width}, o.padding, 1, o.groups);
}

LayerWeights LowRankConvolution::merged(const LayerWeights& layer) {
  return {layer.weight + scale_ * b.matmul(a).view(layer.weight.sizes()), layer.bias};
}

}  // namespace tessera

#include "plain_llama.h"

#include <cmath>

namespace tessera::bench {
namespace {

using torch::Tensor;
namespace nn = torch::nn;

constexpr double kEps = 1e-5, kTheta = 10000;

/// A layer of this weight, without a copy.
nn::Linear linear(const Tensor& weight) {
  nn::Linear layer(nn::LinearOptions(1, 1).bias(false));
  layer->weight.set_data(weight);
  return layer;
}

Tensor rms(const Tensor& x, const Tensor& weight) {
  return x * torch::rsqrt(x.square().mean(-1, true) + kEps) * weight;
}

}  // namespace

PlainLlama::PlainLlama(const LlamaSizes& sizes, const nn::Module& decoder) : sizes_(sizes) {
  const auto weights = decoder.named_parameters();
  words_ = weights["words.weight"];
  norm_ = weights["norm.weight"];
  head_ = linear(weights.contains("head.weight") ? weights["head.weight"] : words_);
  const int64_t width = sizes.dim / sizes.heads, kv = sizes.kv_heads * width;
  for (int64_t i = 0; i < sizes.depth; ++i) {
    const std::string path = "blocks." + std::to_string(i) + ".";
    const Tensor qkv = weights[path + "attention.qkv.weight"], gate_up = weights[path + "ffn.gate_up.weight"];
    Layer layer;
    layer.norm1 = weights[path + "norm1.weight"];
    layer.norm2 = weights[path + "norm2.weight"];
    layer.query = linear(qkv.narrow(0, 0, sizes.dim));
    layer.key = linear(qkv.narrow(0, sizes.dim, kv));
    layer.value = linear(qkv.narrow(0, sizes.dim + kv, kv));
    layer.out = linear(weights[path + "attention.proj.weight"]);
    layer.gate = linear(gate_up.narrow(0, 0, sizes.ffn));
    layer.up = linear(gate_up.narrow(0, sizes.ffn, sizes.ffn));
    layer.down = linear(weights[path + "ffn.down.weight"]);
    layers_.push_back(layer);
  }
}

void PlainLlama::reset() {
  seen_ = 0;
  for (Layer& layer : layers_) layer.keys = layer.values = Tensor();
}

/// Channels i and i + d/2 of each head turn by the position times theta^(-2i/d).
Tensor PlainLlama::rotated(const Tensor& x) const {
  const int64_t width = x.size(3);
  const Tensor frequencies = torch::pow(kTheta, -torch::arange(0, width, 2) / static_cast<double>(width));
  const Tensor angles = torch::outer(torch::arange(seen_, seen_ + x.size(2)).to(torch::kFloat32), frequencies);
  const Tensor both = torch::cat({angles, angles}, 1);
  const auto halves = x.chunk(2, 3);
  return x * both.cos() + torch::cat({-halves[1], halves[0]}, 3) * both.sin();
}

Tensor PlainLlama::attention(Layer& layer, const Tensor& x) {
  const int64_t length = x.size(1), width = sizes_.dim / sizes_.heads, group = sizes_.heads / sizes_.kv_heads;
  const auto heads = [&](const Tensor& y) { return y.view({1, length, -1, width}).transpose(1, 2); };
  const Tensor q = rotated(heads(layer.query(x))), k = rotated(heads(layer.key(x))), v = heads(layer.value(x));
  layer.keys = layer.keys.defined() ? torch::cat({layer.keys, k}, 2) : k;
  layer.values = layer.values.defined() ? torch::cat({layer.values, v}, 2) : v;
  const Tensor keys = layer.keys.repeat_interleave(group, 1), values = layer.values.repeat_interleave(group, 1);
  Tensor scores = torch::matmul(q, keys.transpose(2, 3)) / std::sqrt(static_cast<double>(width));
  if (length > 1) {
    const Tensor later = torch::ones({length, keys.size(2)}, torch::kBool).triu(keys.size(2) - length + 1);
    scores = scores.masked_fill(later, -INFINITY);
  }
  const Tensor mixed = torch::matmul(torch::softmax(scores, -1), values);
  return layer.out(mixed.transpose(1, 2).reshape({1, length, sizes_.dim}));
}

Tensor PlainLlama::read(const Tensor& embedded) {
  Tensor x = embedded;
  for (Layer& layer : layers_) {
    x = x + attention(layer, rms(x, layer.norm1));
    const Tensor y = rms(x, layer.norm2);
    x = x + layer.down(torch::silu(layer.gate(y)) * layer.up(y));
  }
  seen_ += embedded.size(1);
  return head_(rms(x.select(1, x.size(1) - 1), norm_));
}

}  // namespace tessera::bench

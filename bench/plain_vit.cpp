#include "plain_vit.h"

#include <cmath>

namespace tessera::bench {
namespace {

using torch::Tensor;
namespace nn = torch::nn;

constexpr int64_t kDim = 768, kDepth = 12, kHeads = 12, kFfn = 3072, kPatch = 16, kTokens = 197;
constexpr double kEps = 1e-6;

nn::LayerNorm layer_norm() { return nn::LayerNorm(nn::LayerNormOptions({kDim}).eps(kEps)); }

}  // namespace

PlainVit::PlainVit(bool fused) : fused_(fused) {
  patch_ = register_module("patch", nn::Conv2d(nn::Conv2dOptions(3, kDim, kPatch).stride(kPatch)));
  class_token_ = register_parameter("class_token", torch::zeros({1, 1, kDim}));
  positions_ = register_parameter("positions", torch::zeros({1, kTokens, kDim}));
  for (int64_t i = 0; i < kDepth; ++i) {
    const std::string path = "block" + std::to_string(i) + "_";
    Block block;
    block.norm1 = register_module(path + "norm1", layer_norm());
    if (fused) {
      block.qkv = register_module(path + "qkv", nn::Linear(kDim, 3 * kDim));
    } else {
      block.query = register_module(path + "query", nn::Linear(kDim, kDim));
      block.key = register_module(path + "key", nn::Linear(kDim, kDim));
      block.value = register_module(path + "value", nn::Linear(kDim, kDim));
    }
    block.out = register_module(path + "out", nn::Linear(kDim, kDim));
    block.norm2 = register_module(path + "norm2", layer_norm());
    block.up = register_module(path + "up", nn::Linear(kDim, kFfn));
    block.down = register_module(path + "down", nn::Linear(kFfn, kDim));
    blocks_.push_back(block);
  }
  norm_ = register_module("norm", layer_norm());
}

Tensor PlainVit::attention(Block& block, const Tensor& x) const {
  const int64_t batch = x.size(0), length = x.size(1), width = kDim / kHeads;
  Tensor q, k, v;
  if (fused_) {
    const auto parts = block.qkv(x).reshape({batch, length, 3, kHeads, width}).permute({2, 0, 3, 1, 4}).unbind(0);
    q = parts[0], k = parts[1], v = parts[2];
  } else {
    const auto heads = [&](const Tensor& y) { return y.view({batch, length, kHeads, width}).permute({0, 2, 1, 3}); };
    q = heads(block.query(x)), k = heads(block.key(x)), v = heads(block.value(x));
  }
  const Tensor scores = torch::matmul(q, k.transpose(-2, -1)) / std::sqrt(static_cast<double>(width));
  const Tensor mixed = torch::matmul(torch::softmax(scores, -1), v);
  return block.out(mixed.transpose(1, 2).reshape({batch, length, kDim}));
}

Tensor PlainVit::forward(const Tensor& pixels) {
  Tensor x = patch_(pixels).flatten(2).transpose(1, 2);
  x = torch::cat({class_token_.expand({x.size(0), -1, -1}), x}, 1) + positions_;
  for (Block& block : blocks_) {
    x = x + attention(block, block.norm1(x));
    x = x + block.down(torch::gelu(block.up(block.norm2(x))));
  }
  return norm_(x);
}

void PlainVit::copy_from(const nn::Module& vit) {
  const torch::NoGradGuard no_gradient;
  const auto weights = vit.named_parameters();
  const auto fill = [&](nn::Module& module, const std::string& path) {
    for (auto& item : module.named_parameters()) item.value().copy_(weights[path + "." + item.key()]);
  };
  fill(*patch_, "patch");
  fill(*norm_, "norm");
  class_token_.copy_(weights["class_token"]);
  positions_.copy_(weights["positions"]);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const std::string path = "blocks." + std::to_string(i) + ".";
    Block& block = blocks_[i];
    fill(*block.norm1, path + "norm1");
    fill(*block.norm2, path + "norm2");
    fill(*block.out, path + "attention.proj");
    fill(*block.up, path + "ffn.up");
    fill(*block.down, path + "ffn.down");
    if (fused_) {
      fill(*block.qkv, path + "attention.qkv");
      continue;
    }
    int64_t part = 0;
    for (nn::Linear* linear : {&block.query, &block.key, &block.value}) {
      (*linear)->weight.copy_(weights[path + "attention.qkv.weight"].narrow(0, part * kDim, kDim));
      (*linear)->bias.copy_(weights[path + "attention.qkv.bias"].narrow(0, part * kDim, kDim));
      ++part;
    }
  }
}

}  // namespace tessera::bench

#pragma once
#include <torch/nn.h>

namespace tessera::bench {

/// A vision transformer as one writes it with LibTorch's modules, the peer of the benchmark. ViT-B/16 at 224 pixels.
class PlainVit : public torch::nn::Module {
 public:
  /// @param fused  one projection for query, key and value, as in timm; else three, as in transformers
  explicit PlainVit(bool fused);
  torch::Tensor forward(const torch::Tensor& pixels);  // B x 3 x 224 x 224 -> B x 197 x 768
  /// Takes the weights of a tessera::Vit.
  void copy_from(const torch::nn::Module& vit);

 private:
  struct Block {
    torch::nn::LayerNorm norm1{nullptr}, norm2{nullptr};
    torch::nn::Linear qkv{nullptr}, query{nullptr}, key{nullptr}, value{nullptr}, out{nullptr}, up{nullptr},
        down{nullptr};
  };
  torch::Tensor attention(Block& block, const torch::Tensor& x) const;

  bool fused_;
  torch::nn::Conv2d patch_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
  torch::Tensor class_token_, positions_;
  std::vector<Block> blocks_;
};

}  // namespace tessera::bench

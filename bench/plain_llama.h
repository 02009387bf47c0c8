#pragma once
#include <torch/nn.h>

namespace tessera::bench {

struct LlamaSizes {
  int64_t vocabulary, dim, depth, heads, kv_heads, ffn;
};

/// A LLaMA as one writes it with LibTorch's modules, the peer of the benchmark: seven projections a layer, rotary
/// positions, and keys and values that are joined with those of the tokens before.
class PlainLlama : public torch::nn::Module {
 public:
  /// Shares the weights of a tessera::Decoder of these sizes.
  PlainLlama(const LlamaSizes& sizes, const torch::nn::Module& decoder);
  /// The logits of the last token, 1 x vocabulary. @param ids  1 x L, which follow what was given since reset()
  torch::Tensor forward(const torch::Tensor& ids) { return read(embed(ids)); }
  /// Token vectors, 1 x L x dim.
  torch::Tensor embed(const torch::Tensor& ids) const { return torch::embedding(words_, ids); }
  /// The same as forward() for token vectors.
  torch::Tensor read(const torch::Tensor& embedded);
  void reset();

 private:
  struct Layer {
    torch::Tensor norm1, norm2;
    torch::nn::Linear query{nullptr}, key{nullptr}, value{nullptr}, out{nullptr}, gate{nullptr}, up{nullptr},
        down{nullptr};
    torch::Tensor keys, values;  // 1 x kv_heads x seen x width
  };
  torch::Tensor attention(Layer& layer, const torch::Tensor& x);
  torch::Tensor rotated(const torch::Tensor& x) const;

  LlamaSizes sizes_;
  int64_t seen_ = 0;
  torch::Tensor words_, norm_;
  torch::nn::Linear head_{nullptr};
  std::vector<Layer> layers_;
};

}  // namespace tessera::bench

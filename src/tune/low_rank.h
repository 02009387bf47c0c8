#pragma once
#include "layers/linear.h"
#include "layers/variation.h"

namespace tessera {

struct LowRankOptions {
  int64_t in = 0, out = 0, rank = 8;
  double scale = 1;        ///< alpha / rank, or alpha / sqrt(rank) (rsLoRA: Kalajdzievski, 2023)
  double dropout = 0;      ///< of the branch's input, while training
  bool magnitude = false;  ///< DoRA (Liu et al., 2024): the rows' lengths are parameters of their own
  bool bias = false;       ///< the layer's bias is learned too, as a copy
  /// Equal parts of the outputs, of which those that are true get a branch of this rank each (loralib's MergedLinear);
  /// empty: one branch for all.
  std::vector<bool> parts = {};
};

/// LoRA (Hu et al., 2021) of a Linear: y + s B A dropout(x). It begins with B = 0, so that nothing is changed.
class LowRank : public Variation {
 public:
  /// @param layer  what it will vary: DoRA begins with its row lengths, a learned bias with its bias
  LowRank(const LowRankOptions& options, const LayerWeights& layer);
  Tensor change(const Tensor& x, const Tensor& y, const LayerWeights& layer) override;
  LayerWeights merged(const LayerWeights& layer) override;

  Tensor a;          ///< rank (per branch) x in
  Tensor b;          ///< out (of the parts that have a branch) x rank
  Tensor magnitude;  ///< out; undefined without
  Tensor bias;       ///< out; undefined without

 private:
  /// The change of the weight, out x in.
  Tensor delta() const;
  Tensor branch(const Tensor& x);
  Tensor factor(const Tensor& weight);

  LowRankOptions options_;
};

/// LoRA of an Embedding: row + s B A[:, id]; a: rank x count, b: dim x rank.
class LowRankEmbedding : public Variation {
 public:
  LowRankEmbedding(int64_t count, int64_t dim, int64_t rank, double scale);
  Tensor change(const Tensor& ids, const Tensor& y, const LayerWeights& layer) override;
  LayerWeights merged(const LayerWeights& layer) override;

  Tensor a, b;

 private:
  double scale_;
};

/// loralib's LoRA of a Convolution with a square kernel k: its weight changes by s (B A), seen as out x in x k x k;
/// a: rank k x in k, b: out k x rank k.
class LowRankConvolution : public Variation {
 public:
  LowRankConvolution(const ConvolutionOptions& layer, int64_t rank, double scale);
  Tensor change(const Tensor& x, const Tensor& y, const LayerWeights& layer) override;
  LayerWeights merged(const LayerWeights& layer) override;

  Tensor a, b;

 private:
  ConvolutionOptions options_;
  double scale_;
};

}  // namespace tessera

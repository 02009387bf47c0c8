#pragma once
#include "layers/attention.h"

namespace tessera {

/// A learned bias of the scores for every pair of a place of one grid and a place of another, resampled (bicubically,
/// along either grid) for grids of other extents. Taps: its value, 1 x heads x queries x keys.
class GridBias : public Module {
 public:
  /// @param queries, keys  the grids that it is learned for
  GridBias(int64_t heads, const Grid& queries, const Grid& keys);
  Tensor forward(const Grid& queries, const Grid& keys);

 private:
  Grid queries_, keys_;
  Tensor weight_;  // 1 x heads x queries x keys
};

struct PooledAttentionOptions {
  int64_t dim = 768, heads = 12, ratio = 4;
  bool qkv_bias = true;
  double scale = 0;  ///< of the scores; 0: 1 / sqrt(head width)
  double eps = 1e-5;
};

/// Attention of all tokens of a grid to means of `ratio` x `ratio` of them, which a linear layer and a norm make keys
/// and values of (PVT v2 and PyramidTNT; Wang et al., 2021; Han et al., 2022). At the grid's edge a mean is over the
/// tokens that are left. With a ratio of 1 it is attention as usual. Taps: "weights" (B x heads x L x L / ratio^2),
/// "context".
class PooledAttention : public Mixer {
 public:
  /// @param bias  null: none. It is not a child: the owner of one that layers share registers it.
  explicit PooledAttention(const PooledAttentionOptions& options, std::shared_ptr<GridBias> bias = nullptr);
  /// @throws Error where the tokens fill no grid, or have prefix or suffix
  Tensor forward(const Tokens& tokens) override;
  /// The grid of the keys.
  static Grid pooled(const Grid& grid, int64_t ratio);

 private:
  PooledAttentionOptions options_;
  std::shared_ptr<Linear> q_, kv_, proj_, linear_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<GridBias> bias_;
};

}  // namespace tessera

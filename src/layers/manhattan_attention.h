#pragma once
#include "layers/attention.h"

namespace tessera {

/// What attention knows of places on a grid in RMT (Fan et al., 2023): a rotation by a token's number, row by row, and
/// a logarithm for every head by which a score falls from place to place. Both are buffers, as they are published.
class ManhattanDecay : public Module {
 public:
  /// @param first, range  head h of n keeps 1 - 2^(-first - range h / n) of a weight from one place to the next
  ManhattanDecay(int64_t heads, int64_t head_dim, double first, double range);
  /// Of the tokens of a grid, row by row.
  Rotation rotation(const Grid& grid) const;
  /// For the tokens of a grid by their Manhattan distance: 1 x heads x L x L.
  Tensor bias(const Grid& grid) const;
  /// Along one axis: 1 x heads x extent x extent.
  Tensor bias(int64_t extent) const;

 private:
  Tensor angle_;  // head_dim: each frequency stands twice
  Tensor decay_;  // heads, negative
};

/// Manhattan self-attention (Fan et al., 2023): softmax(Q K^T + log-decay by distance) V, to which a 5 x 5 depthwise
/// convolution of V is added. Decomposed: first along every row, and of the result along every column, at a cost of
/// H W (H + W). (The paper multiplies the weights by the decay; the released code and weights add its logarithm to the
/// scores.) Taps: "weights": B x heads x L x L, or of the columns, B * W x heads x H x H; "context".
class ManhattanAttention : public Mixer {
 public:
  /// @param decay  not a child: the owner, whose layers share it, registers it
  ManhattanAttention(int64_t dim, int64_t heads, bool decomposed, std::shared_ptr<ManhattanDecay> decay);
  /// @throws Error where the tokens fill no grid, or have prefix or suffix
  Tensor forward(const Tokens& tokens) override;

 private:
  Tensor along_axes(const Tensor& q, const Tensor& k, const Tensor& v, const Grid& grid);

  int64_t heads_;
  bool decomposed_;
  std::shared_ptr<ManhattanDecay> decay_;
  std::shared_ptr<Linear> qkv_, proj_;
  std::shared_ptr<Convolution> local_;
};

}  // namespace tessera

#pragma once
#include <torch/types.h>

namespace tessera {

/// The positive random features of Performer (Choromanski et al., 2020), in float32, whose products approximate
/// exp(x y): exp(w x - |x|^2 / 2) / sqrt(m).
/// @param x  ... x d
/// @param w  m x d, rows that are drawn from a normal distribution, or orthogonal and of its length
/// @return ... x m
torch::Tensor positive_features(const torch::Tensor& x, const torch::Tensor& w);

/// m random directions of d channels, m at most d: orthogonal rows of length sqrt(m), as Tokens-to-Token ViT draws
/// them.
torch::Tensor orthogonal_directions(int64_t m, int64_t d);

/// Attention by features instead of scores, at a cost that is linear in the number of tokens: the mean of the values
/// with the weights q k.
/// @param q    B x L x m, features, not negative
/// @param k    B x S x m
/// @param v    B x S x d
/// @param eps  added to the sum of a query's weights
/// @return B x L x d
torch::Tensor linear_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v, double eps);

}  // namespace tessera

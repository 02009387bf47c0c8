#include "layers/pooled_attention.h"

#include "core/error.h"
#include "layers/grid.h"
#include "layers/positions.h"

namespace tessera {

GridBias::GridBias(int64_t heads, const Grid& queries, const Grid& keys) : queries_(queries), keys_(keys) {
  weight_ = weight("weight", {1, heads, queries[0] * queries[1], keys[0] * keys[1]});
}

Tensor GridBias::forward(const Grid& queries, const Grid& keys) {
  // A table of positions twice: each place of one grid has a vector with a value per head and place of the other.
  const int64_t heads = weight_.size(1), from = weight_.size(3), count = queries[0] * queries[1];
  const Tensor by_query = resample_positions(weight_.permute({0, 2, 1, 3}).flatten(2), 0, queries_, queries);
  const Tensor by_key = by_query.reshape({count * heads, from}).t().unsqueeze(0);  // 1 x keys x queries * heads
  const Tensor both = resample_positions(by_key, 0, keys_, keys).reshape({1, -1, count, heads});
  return tap(*this, both.permute({0, 3, 2, 1}));
}

PooledAttention::PooledAttention(const PooledAttentionOptions& options, std::shared_ptr<GridBias> bias)
    : options_(options), bias_(std::move(bias)) {
  const auto& o = options_;
  if (o.heads < 1 || o.dim % o.heads != 0)
    throw Error("width " + std::to_string(o.dim) + " cannot be split into " + std::to_string(o.heads) + " heads",
                "heads");
  if (o.ratio < 1) throw Error("the mean of " + std::to_string(o.ratio) + " tokens is nothing", "ratio");
  q_ = add<Linear>("q", o.dim, o.dim, o.qkv_bias);
  kv_ = add<Linear>("kv", o.dim, 2 * o.dim, o.qkv_bias);
  proj_ = add<Linear>("proj", o.dim, o.dim);
  if (o.ratio > 1) {
    linear_ = add<Linear>("linear", o.dim, o.dim);
    norm_ = add<Norm>("norm", o.dim, o.eps);
  }
}

Grid PooledAttention::pooled(const Grid& grid, int64_t ratio) {
  return {(grid[0] + ratio - 1) / ratio, (grid[1] + ratio - 1) / ratio};
}

Tensor PooledAttention::forward(const Tokens& tokens) {
  const auto& o = options_;
  if (tokens.prefix != 0 || tokens.suffix != 0)
    throw Error("tokens beside the grid have no place among means", "pooled attention");
  const Tensor map = as_map(tokens);
  Tensor source = tokens.x;
  if (o.ratio > 1) {
    const Tensor means = torch::avg_pool2d(map, o.ratio, o.ratio, 0, /*ceil_mode=*/true, /*count_include_pad=*/false);
    source = norm_->forward(linear_->forward(as_tokens(means).x));
  }
  const auto by_head = [&](const Tensor& x) { return x.unflatten(-1, {-1, o.dim / o.heads}).transpose(1, 2); };
  const Tensor q = by_head(q_->forward(tokens.x)), kv = by_head(kv_->forward(source));  // B x heads x L x d
  const Tensor bias = bias_ ? bias_->forward(tokens.grid, pooled(tokens.grid, o.ratio)) : Tensor();
  const Tensor mixed =
      attend(*this, q, kv.narrow(1, 0, o.heads), kv.narrow(1, o.heads, o.heads), {.bias = bias, .scale = o.scale});
  return tap(*this, proj_->forward(tap(*this, mixed.transpose(1, 2).flatten(2), "context")));
}

}  // namespace tessera

#include "layers/manhattan_attention.h"

#include <cmath>

#include "core/error.h"
#include "layers/grid.h"

namespace tessera {
namespace {

/// In float32 whatever the type of the model, which may not tell high numbers apart.
Tensor places(int64_t extent, const Tensor& like) {
  return torch::arange(extent, like.options().dtype(torch::kFloat32));
}

Tensor distances(const Tensor& at) { return (at.unsqueeze(1) - at.unsqueeze(0)).abs(); }

}  // namespace

ManhattanDecay::ManhattanDecay(int64_t heads, int64_t head_dim, double first, double range) {
  if (head_dim < 2 || head_dim % 2 != 0)
    throw Error("pairs of channels rotate, and a head has " + std::to_string(head_dim), "Manhattan attention");
  if (first <= 0)
    throw Error("heads that keep nothing see nothing", "Manhattan attention", "give a first decay above 0");
  const Tensor frequency = 1 / torch::pow(10000.0, torch::linspace(0, 1, head_dim / 2));
  angle_ = register_buffer("angle", frequency.repeat_interleave(2));
  const Tensor power = -first - range * torch::arange(heads, torch::kFloat32) / static_cast<double>(heads);
  decay_ = register_buffer("decay", torch::log(1 - torch::pow(2.0, power)));
}

Rotation ManhattanDecay::rotation(const Grid& grid) const {
  const Tensor angles = places(grid[0] * grid[1], angle_).unsqueeze(1) * angle_.view({-1, 2}).select(1, 0);
  const auto of_model = [&](const Tensor& x) { return x.to(angle_.scalar_type()).view({1, 1, x.size(0), -1}); };
  return {of_model(angles.cos()), of_model(angles.sin()), true};
}

Tensor ManhattanDecay::bias(int64_t extent) const {
  return (distances(places(extent, decay_)) * decay_.view({-1, 1, 1})).unsqueeze(0).to(decay_.scalar_type());
}

Tensor ManhattanDecay::bias(const Grid& grid) const {
  const Tensor row = places(grid[0], decay_).repeat_interleave(grid[1]),
               column = places(grid[1], decay_).repeat({grid[0]});
  return ((distances(row) + distances(column)) * decay_.view({-1, 1, 1})).unsqueeze(0).to(decay_.scalar_type());
}

ManhattanAttention::ManhattanAttention(int64_t dim, int64_t heads, bool decomposed,
                                       std::shared_ptr<ManhattanDecay> decay)
    : heads_(heads), decomposed_(decomposed), decay_(std::move(decay)) {
  if (heads < 1 || dim % heads != 0)
    throw Error("width " + std::to_string(dim) + " cannot be split into " + std::to_string(heads) + " heads", "heads");
  qkv_ = add<Linear>("qkv", dim, 3 * dim);
  proj_ = add<Linear>("proj", dim, dim);
  local_ = add<Convolution>(
      "local",
      ConvolutionOptions{.in = dim, .out = dim, .kernel_height = 5, .kernel_width = 5, .padding = 2, .groups = dim});
}

/// q, k, v: B x heads x L x d -> the same shape
Tensor ManhattanAttention::along_axes(const Tensor& q, const Tensor& k, const Tensor& v, const Grid& grid) {
  const int64_t batch = q.size(0), rows = grid[0], columns = grid[1], d = q.size(3);
  const auto in_rows = [&](const Tensor& x) {
    return x.reshape({batch, heads_, rows, columns, d}).transpose(1, 2).reshape({batch * rows, heads_, columns, d});
  };
  const auto in_columns = [&](const Tensor& x) {
    return x.reshape({batch, heads_, rows, columns, d})
        .permute({0, 3, 1, 2, 4})
        .reshape({batch * columns, heads_, rows, d});
  };
  const Tensor seen = attend(*this, in_rows(q), in_rows(k), in_rows(v), {.bias = decay_->bias(columns)}, "row_weights")
                          .reshape({batch, rows, heads_, columns, d})
                          .transpose(1, 2);
  return attend(*this, in_columns(q), in_columns(k), in_columns(seen), {.bias = decay_->bias(rows)}, "column_weights")
      .reshape({batch, columns, heads_, rows, d})
      .permute({0, 2, 3, 1, 4})
      .reshape(q.sizes());
}

Tensor ManhattanAttention::forward(const Tokens& tokens) {
  if (tokens.prefix != 0 || tokens.suffix != 0)
    throw Error("tokens beside the grid have no distance to those of it", "Manhattan attention");
  const int64_t dim = tokens.x.size(2);
  const Tensor projected = qkv_->forward(tokens.x);
  const Tensor local = as_tokens(local_->forward(as_map(tokens.with(projected.narrow(-1, 2 * dim, dim))))).x;
  const Tensor qkv = projected.unflatten(-1, {3 * heads_, dim / heads_}).transpose(1, 2);  // B x 3 heads x L x d
  const Rotation rotation = decay_->rotation(tokens.grid);
  const Tensor q = rotation.apply(qkv.narrow(1, 0, heads_)), k = rotation.apply(qkv.narrow(1, heads_, heads_));
  const Tensor v = qkv.narrow(1, 2 * heads_, heads_);
  const Tensor mixed =
      decomposed_ ? along_axes(q, k, v, tokens.grid) : attend(*this, q, k, v, {.bias = decay_->bias(tokens.grid)});
  const Tensor context = tap(*this, mixed.transpose(1, 2).flatten(2), "context");
  return tap(*this, proj_->forward(context + local));
}

}  // namespace tessera

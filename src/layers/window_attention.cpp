#include "layers/window_attention.h"

#include "core/error.h"
#include "layers/grid.h"

namespace tessera {

WindowAttention::WindowAttention(const AttentionOptions& options, int64_t window)
    : Attention(options), window_(window) {
  if (window < 1) throw Error("a window of " + std::to_string(window) + " tokens holds nothing", "window");
}

Tensor WindowAttention::forward(const Tokens& tokens) {
  if (tokens.prefix != 0 || tokens.suffix != 0)
    throw Error("tokens beside the grid lie in no window", "windowed attention");
  const Tensor map = as_map(tokens);  // B x D x h x w
  const int64_t batch = map.size(0), dim = map.size(1), height = map.size(2), width = map.size(3), side = window_;
  const int64_t rows = (height + side - 1) / side, columns = (width + side - 1) / side;
  const Tensor filled = torch::constant_pad_nd(map, {0, columns * side - width, 0, rows * side - height});
  Tokens windows;
  windows.grid = {side, side};
  windows.x = filled.reshape({batch, dim, rows, side, columns, side})
                  .permute({0, 2, 4, 3, 5, 1})
                  .reshape({batch * rows * columns, side * side, dim});
  const Tensor mixed = Attention::forward(windows)
                           .view({batch, rows, columns, side, side, dim})
                           .permute({0, 1, 3, 2, 4, 5})
                           .reshape({batch, rows * side, columns * side, dim});
  return mixed.narrow(1, 0, height).narrow(2, 0, width).reshape({batch, height * width, dim});
}

ChannelAttention::ChannelAttention(const ChannelAttentionOptions& options) : options_(options) {
  const auto& o = options_;
  if (o.groups < 1 || o.dim % o.groups != 0)
    throw Error("width " + std::to_string(o.dim) + " cannot be split into " + std::to_string(o.groups) + " groups",
                "groups");
  qkv_ = add<Linear>("qkv", o.dim, 3 * o.dim, o.qkv_bias);
  proj_ = add<Linear>("proj", o.dim, o.dim);
}

Tensor ChannelAttention::forward(const Tokens& tokens) {
  const int64_t batch = tokens.x.size(0), length = tokens.x.size(1), groups = options_.groups;
  // 3 x B x groups x channels x L: the channels are what attends, and the tokens are their features.
  const Tensor qkv = qkv_->forward(tokens.x).view({batch, length, 3, groups, -1}).permute({2, 0, 3, 4, 1});
  const Tensor mixed = attend(*this, qkv[0], qkv[1], qkv[2], {});
  const Tensor context = tap(*this, mixed.permute({0, 3, 1, 2}).reshape({batch, length, options_.dim}), "context");
  return tap(*this, proj_->forward(context));
}

}  // namespace tessera

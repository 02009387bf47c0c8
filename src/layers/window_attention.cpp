#include "layers/window_attention.h"

#include <algorithm>

#include "core/error.h"
#include "layers/grid.h"

namespace tessera {

Tensor in_windows(const Tensor& map, int64_t side) {
  const int64_t batch = map.size(0), dim = map.size(1), rows = map.size(2) / side, columns = map.size(3) / side;
  return map.reshape({batch, dim, rows, side, columns, side})
      .permute({0, 2, 4, 3, 5, 1})
      .reshape({batch * rows * columns, side * side, dim});
}

Tensor from_windows(const Tensor& windows, int64_t side, int64_t height, int64_t width) {
  const int64_t rows = height / side, columns = width / side, dim = windows.size(2);
  return windows.reshape({windows.size(0) / (rows * columns), rows, columns, side, side, dim})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({-1, height, width, dim});
}

// A position is one number, row * span + column, so that the difference of two is the number of their offset.
WindowBias::WindowBias(int64_t window, int64_t heads) : window_(window), span_(2 * window - 1) {
  if (heads > 0) weight_ = weight("weight", {span_ * span_, heads});
}

Tensor WindowBias::positions(int64_t side) const {
  const Tensor place = torch::arange(side, torch::kInt64);
  return (place.unsqueeze(1) * span_ + place).view({1, side * side});
}

Tensor WindowBias::forward(const Tensor& queries, const Tensor& keys) {
  const int64_t regions = span_ * span_;
  const Tensor apart = torch::floor_divide(queries, regions)
                           .unsqueeze(2)
                           .ne(torch::floor_divide(keys, regions).unsqueeze(1));  // B x L x S
  Tensor bias = apart.unsqueeze(1).to(torch::kFloat32) * -100;
  if (weight_.defined()) {
    const Tensor offset = queries.remainder(regions).unsqueeze(2) - keys.remainder(regions).unsqueeze(1);
    const Tensor row = offset + (window_ - 1) * (span_ + 1);
    bias = bias.to(weight_.scalar_type()) + torch::embedding(weight_, row).permute({0, 3, 1, 2});
  }
  return tap(*this, bias);
}

WindowAttention::WindowAttention(const AttentionOptions& options, const WindowOptions& window)
    : WindowAttention(options, window,
                      window.window > 0 && (window.shifted || window.relative_bias)
                          ? std::make_shared<WindowBias>(window.window, window.relative_bias ? options.heads : 0)
                          : nullptr) {}

WindowAttention::WindowAttention(const AttentionOptions& options, const WindowOptions& window,
                                 std::shared_ptr<WindowBias> bias)
    : Attention(options, bias), window_(window), bias_(std::move(bias)) {
  if (window.window < 1)
    throw Error("a window of " + std::to_string(window.window) + " tokens holds nothing", "window");
  if (bias_) register_module("bias", bias_);
}

namespace {

/// Which of the three parts of an axis a place of the shifted grid comes from: extent, int64.
Tensor parts_of_axis(int64_t extent, int64_t side, int64_t shift) {
  const Tensor place = torch::arange(extent, torch::kInt64);
  return place.ge(extent - side).to(torch::kInt64) + place.ge(extent - shift).to(torch::kInt64);
}

}  // namespace

/// Of the tokens in the windows of a grid of height x width: 1 or B * windows x side^2 x 1.
Tensor WindowAttention::positions(int64_t side, int64_t shift, int64_t batch, int64_t height, int64_t width) const {
  Tensor at = bias_->positions(side);
  if (shift > 0) {
    const Tensor region = 3 * parts_of_axis(height, side, shift).unsqueeze(1) + parts_of_axis(width, side, shift);
    at = bias_->in_region(at, in_windows(region.view({1, 1, height, width}), side).squeeze(-1)).repeat({batch, 1});
  }
  return at.unsqueeze(-1);
}

Tensor WindowAttention::forward(const Tokens& tokens) {
  if (tokens.prefix != 0 || tokens.suffix != 0)
    throw Error("tokens beside the grid lie in no window", "windowed attention");
  const Tensor map = as_map(tokens);  // B x D x h x w
  const int64_t batch = map.size(0), dim = map.size(1), height = map.size(2), width = map.size(3);
  const int64_t shorter = std::min(height, width);
  const int64_t side = window_.shrink ? std::min(window_.window, shorter) : window_.window;
  const int64_t shift = window_.shifted && !(window_.shrink && shorter <= side) ? side / 2 : 0;
  const int64_t rows = (height + side - 1) / side * side, columns = (width + side - 1) / side * side;
  Tensor filled = torch::constant_pad_nd(map, {0, columns - width, 0, rows - height});
  if (shift > 0) filled = filled.roll({-shift, -shift}, {2, 3});
  Tokens windows;
  windows.grid = {side, side};
  windows.x = in_windows(filled, side);
  if (bias_) windows.at = positions(side, shift, batch, rows, columns).to(map.device());
  Tensor mixed = from_windows(Attention::forward(windows), side, rows, columns);  // B x rows x columns x D
  if (shift > 0) mixed = mixed.roll({shift, shift}, {1, 2});
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

#include "layers/gated_convolution.h"

#include "core/error.h"
#include "layers/grid.h"

namespace tessera {
namespace {

constexpr double kEps = 1e-6;

std::shared_ptr<Convolution> depthwise(int64_t channels, int64_t kernel, bool bias) {
  return std::make_shared<Convolution>(ConvolutionOptions{.in = channels,
                                                          .out = channels,
                                                          .kernel_height = kernel,
                                                          .kernel_width = kernel,
                                                          .padding = kernel / 2,
                                                          .groups = channels,
                                                          .bias = bias});
}

}  // namespace

GlobalLocalFilter::GlobalLocalFilter(int64_t channels, int64_t height, int64_t width) {
  if (channels % 2 != 0) throw Error(std::to_string(channels) + " channels have no halves", "global-local filter");
  pre_norm_ = add<Norm>("pre_norm", channels, kEps);
  local_ = register_module("local", depthwise(channels / 2, 3, /*bias=*/false));
  weight_ = weight("weight", {channels / 2, height, width, 2});
  post_norm_ = add<Norm>("post_norm", channels, kEps);
}

/// Complex, C / 2 x height x width.
Tensor GlobalLocalFilter::filter(int64_t height, int64_t width) const {
  Tensor planes = weight_;
  if (weight_.size(1) != height || weight_.size(2) != width)
    planes = torch::upsample_bilinear2d(planes.permute({3, 0, 1, 2}), {height, width}, /*align_corners=*/true)
                 .permute({1, 2, 3, 0});
  return torch::view_as_complex(planes.contiguous().to(torch::kFloat32));
}

Tensor GlobalLocalFilter::forward(const Tensor& map) {
  const int64_t half = map.size(1) / 2, height = map.size(2), width = map.size(3);
  const Tensor x = norm_map(*pre_norm_, map);
  const Tensor local = local_->forward(x.narrow(1, 0, half));
  const Tensor spectrum = torch::fft_rfft2(x.narrow(1, half, half).to(torch::kFloat32), {}, {-2, -1}, "ortho");
  const Tensor filtered = spectrum * filter(height, width / 2 + 1);
  const Tensor global = torch::fft_irfft2(filtered, at::IntArrayRef({height, width}), {-2, -1}, "ortho");
  const Tensor turns = torch::stack({local, global.to(local.scalar_type())}, 2).flatten(1, 2);
  return tap(*this, norm_map(*post_norm_, turns));
}

GatedConvolution::GatedConvolution(const GatedConvolutionOptions& options) : options_(options) {
  const auto& o = options_;
  const int64_t parts = o.order > 0 && o.order < 32 ? int64_t{1} << (o.order - 1) : 0;
  if (parts == 0 || o.dim % parts != 0 || o.dim < parts)
    throw Error("a width of " + std::to_string(o.dim) + " cannot be halved " + std::to_string(o.order - 1) + " times",
                "gated convolution");
  const int64_t first = o.dim / parts, gates = 2 * o.dim - first;
  proj_in_ = add<Linear>("proj_in", o.dim, 2 * o.dim);
  if (o.filter_height > 0)
    filter_ = add<GlobalLocalFilter>("filter", gates, o.filter_height, o.filter_width);
  else
    convolution_ = register_module("convolution", depthwise(gates, o.kernel, /*bias=*/true));
  widen_ = add<ModuleList<Linear>>("widen");
  for (int64_t width = first; width < o.dim; width *= 2) widen_->append(width, 2 * width);
  proj_out_ = add<Linear>("proj_out", o.dim, o.dim);
}

Tensor GatedConvolution::forward(const Tokens& tokens) {
  if (tokens.prefix != 0 || tokens.suffix != 0)
    throw Error("tokens beside the grid have no neighbourhood", "gated convolution");
  const auto& o = options_;
  const int64_t first = o.dim >> (o.order - 1), gates = 2 * o.dim - first;
  const Tensor projected = proj_in_->forward(tokens.x);
  const Tensor map = as_map(tokens.with(projected.narrow(-1, first, gates)));
  const Tensor seen = tap(*this, filter_ ? filter_->forward(map) : convolution_->forward(map), "gates");
  const Tensor gate = as_tokens(seen).x * o.scale;  // B x L x the widths of all orders
  Tensor x = projected.narrow(-1, 0, first) * gate.narrow(-1, 0, first);
  int64_t at = first, width = first;
  for (const auto& widen : *widen_) {
    width *= 2;
    x = widen->forward(x) * gate.narrow(-1, at, width);
    at += width;
  }
  return tap(*this, proj_out_->forward(x));
}

}  // namespace tessera

#include "kernels/convolution.h"

#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "kernels/cpu/convolve.h"
#include "kernels/flops.h"

namespace tessera {

using torch::Tensor;

Tensor depthwise_convolution(const Tensor& x, const Tensor& weight, const Tensor& bias, const WindowPath& path) {
  const torch::NoGradGuard no_gradient;
  const Tensor map = x.permute({0, 2, 3, 1}).contiguous();  // B x H x W x C
  const int64_t batch = map.size(0), height = map.size(1), width = map.size(2), channels = map.size(3);
  const int64_t window = weight.size(2);
  const Tensor taps = weight.view({channels, -1}).t().contiguous();  // kernel height * kernel width x C
  const Tensor offset = bias.defined() ? bias.contiguous() : torch::zeros({channels}, map.options());
  const std::vector<float> outside(static_cast<size_t>(channels), 0);
  Tensor result = torch::empty({batch, path.rows, path.columns, channels}, map.options());
  const cpu::WindowRow row{.weight = taps.data_ptr<float>(),
                           .bias = offset.data_ptr<float>(),
                           .outside = outside.data(),
                           .channels = channels,
                           .height = window,
                           .width = weight.size(3),
                           .stride = path.stride_width,
                           .left = path.left,
                           .columns = width,
                           .outputs = path.columns};
  const float* from = map.data_ptr<float>();
  auto* to = result.data_ptr<float>();
  in_parallel(batch * path.rows, [&](int64_t item) {
    const int64_t b = item / path.rows, first = item % path.rows * path.stride_height - path.top;
    std::vector<const float*> rows(static_cast<size_t>(window), nullptr);
    for (int64_t i = std::max<int64_t>(0, -first); i < std::min(window, height - first); ++i)
      rows[static_cast<size_t>(i)] = from + (b * height + first + i) * width * channels;
    cpu::convolve_row(row, rows.data(), to + item * path.columns * channels);
  });
  kernel_flops() += 2 * result.numel() * window * row.width;
  return result.permute({0, 3, 1, 2});
}

Tensor causal_convolution(const Tensor& given, const Tensor& kernel) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = given.contiguous(), taps = kernel.t().contiguous();
  const int64_t length = x.size(1), channels = x.size(2), count = std::min(length, taps.size(0));
  const int64_t groups = (channels + cpu::kChannels - 1) / cpu::kChannels;
  Tensor result = torch::empty(x.sizes(), x.options());
  const auto *from = x.data_ptr<float>(), *weights = taps.data_ptr<float>();
  auto* to = result.data_ptr<float>();
  in_parallel(x.size(0) * groups, [&](int64_t item) {
    const int64_t first = item % groups * cpu::kChannels, start = item / groups * length * channels + first;
    cpu::convolve_sequence({.x = from + start,
                            .taps = weights + first,
                            .length = length,
                            .count = count,
                            .step = channels,
                            .channels = std::min(cpu::kChannels, channels - first)},
                           to + start);
  });
  return result;  // its operations are not counted, as those of Fourier transforms are not
}

}  // namespace tessera

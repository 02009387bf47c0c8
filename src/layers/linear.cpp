#include "layers/linear.h"

#include <cmath>

namespace tessera {

Linear::Linear(int64_t in, int64_t out, bool with_bias) {
  weight = Module::weight("weight", {out, in});
  if (with_bias) bias = Module::weight("bias", {out}, 0);
}

Tensor Linear::forward(const Tensor& x) { return tap(*this, torch::linear(x, weight, bias)); }

Convolution::Convolution(const ConvolutionOptions& options) : options_(options) {
  const auto& o = options_;
  // He et al. (2015): the deviation that keeps the variance through a rectifier, counted over outputs.
  const double fan_out = static_cast<double>(o.out * o.kernel_height * o.kernel_width / o.groups);
  weight = Module::weight("weight", {o.out, o.in / o.groups, o.kernel_height, o.kernel_width}, std::sqrt(2 / fan_out));
  if (o.bias) bias = Module::weight("bias", {o.out}, 0);
}

Tensor Convolution::forward(const Tensor& x) {
  const auto& o = options_;
  return tap(*this, torch::conv2d(x, weight, bias, {o.stride_height, o.stride_width}, o.padding, 1, o.groups));
}

Embedding::Embedding(int64_t count, int64_t dim, double deviation, int64_t padding_id) : padding_id_(padding_id) {
  weight = Module::weight("weight", {count, dim}, deviation);
}

Tensor Embedding::forward(const Tensor& ids) { return tap(*this, torch::embedding(weight, ids, padding_id_)); }

}  // namespace tessera

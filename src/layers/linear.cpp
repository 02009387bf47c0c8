#include "layers/linear.h"

#include <cmath>

#include "layers/variation.h"

namespace tessera {

Linear::Linear(int64_t in, int64_t out, bool with_bias) {
  weight = Module::weight("weight", {out, in});
  if (with_bias) bias = Module::weight("bias", {out}, 0);
}

Tensor Linear::forward(const Tensor& x) {
  return tap(*this, vary(*this, x, torch::linear(x, weight, bias), {weight, bias}));
}

Convolution::Convolution(const ConvolutionOptions& options) : options_(options) {
  const auto& o = options_;
  // He et al. (2015): the deviation that keeps the variance through a rectifier, counted over outputs.
  const double fan_out = static_cast<double>(o.out * o.kernel_height * o.kernel_width / o.groups);
  weight = Module::weight("weight", {o.out, o.in / o.groups, o.kernel_height, o.kernel_width}, std::sqrt(2 / fan_out));
  if (o.bias) bias = Module::weight("bias", {o.out}, 0);
}

Tensor Convolution::forward(const Tensor& x) {
  const auto& o = options_;
  const Tensor y = torch::conv2d(x, weight, bias, {o.stride_height, o.stride_width}, o.padding, 1, o.groups);
  return tap(*this, vary(*this, x, y, {weight, bias}, 1));
}

Embedding::Embedding(int64_t count, int64_t dim, double deviation, int64_t padding_id) : padding_id_(padding_id) {
  weight = Module::weight("weight", {count, dim}, deviation);
}

Tensor Embedding::forward(const Tensor& ids) {
  return tap(*this, vary(*this, ids, torch::embedding(weight, ids, padding_id_), {weight, {}}));
}

}  // namespace tessera

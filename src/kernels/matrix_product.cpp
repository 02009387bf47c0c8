#include "kernels/matrix_product.h"

#include <ATen/Functions.h>

#include "kernels/cpu/onednn.h"
#include "kernels/flops.h"

namespace tessera {
namespace {

using dnnl::memory;
using torch::Tensor;

memory::desc described(const Tensor& x) {
  const auto type = x.scalar_type() == torch::kBFloat16 ? memory::data_type::bf16 : memory::data_type::f32;
  return {x.sizes().vec(), type, x.strides().vec()};
}

memory at(const memory::desc& described, const Tensor& x) { return {described, cpu::onednn_engine(), x.data_ptr()}; }

/// x with one of its strides 1 and the other at least the extent of that axis.
Tensor in_order(const Tensor& x) {
  const bool rows = x.stride(1) == 1 && x.stride(0) >= x.size(1);
  const bool columns = x.stride(0) == 1 && x.stride(1) >= x.size(0);
  return rows || columns ? x : x.contiguous();
}

}  // namespace

Tensor matrix_product(const Tensor& left, const Tensor& right, torch::ScalarType type, const Tensor& bias,
                      const Tensor& added) {
  const torch::NoGradGuard no_gradient;
  const Tensor a = in_order(left), b = in_order(right);
  const Tensor result = torch::empty({a.size(0), b.size(1)}, a.options().dtype(type).requires_grad(false));
  if (result.numel() == 0 || a.size(1) == 0) return result.zero_();
  const Tensor shifts = bias.defined() ? bias.contiguous().view({1, -1}) : bias;
  const Tensor more = added.defined() ? added.contiguous() : added;
  dnnl::primitive_attr attributes;
  std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, at(described(a), a)},
                                               {DNNL_ARG_WEIGHTS, at(described(b), b)},
                                               {DNNL_ARG_DST, at(described(result), result)}};
  if (shifts.defined()) arguments[DNNL_ARG_BIAS] = at(described(shifts), shifts);
  if (more.defined()) {
    dnnl::post_ops after;
    after.append_binary(dnnl::algorithm::binary_add, described(more));
    attributes.set_post_ops(after);
    arguments[DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1] = at(described(more), more);
  }
  const auto planned =
      cpu::onednn_product(described(a), described(b), shifts.defined() ? described(shifts) : memory::desc(),
                          described(result), attributes);  // oneDNN keeps what it made of earlier ones
  thread_local dnnl::stream stream(cpu::onednn_engine());
  dnnl::matmul(planned).execute(stream, arguments);
  stream.wait();
  kernel_flops() += 2 * a.size(0) * a.size(1) * b.size(1);
  return result;
}

bool has_matrix_product() {
  static const bool has = [] {
    const memory::desc square({64, 64}, memory::data_type::bf16, memory::format_tag::ab);
    try {
      return !cpu::is_reference(cpu::onednn_product(square, square, {}, square, {}));
    } catch (const dnnl::error&) {
      return false;
    }
  }();
  return has;
}

}  // namespace tessera

#include "layers/attention_by_head.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

namespace tessera {

using torch::Tensor;

static constexpr int64_t kRows = 16;  // with fewer queries the calls cost more than they save

bool can_attend_by_head(const Tensor& q, const Tensor& k, const Tensor& v) {
  if (q.size(2) < kRows) return false;
  for (const Tensor* tensor : {&q, &k, &v}) {
    if (!tensor->is_cpu() || tensor->scalar_type() != torch::kFloat32) return false;
    if (torch::GradMode::is_enabled() && tensor->requires_grad()) return false;
  }
  return true;
}

Tensor attention_by_head(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias, double scale,
                         double cap) {
  const int64_t batch = q.size(0), heads = q.size(1), rows = q.size(2), columns = k.size(2);
  const int64_t shared = heads / k.size(1);
  const Tensor result = torch::empty({batch, rows, heads, v.size(3)}, q.options()).permute({0, 2, 1, 3});
  const Tensor wide = bias.defined() ? bias.expand({batch, heads, rows, columns}) : bias;
  at::parallel_for(0, batch * heads, 1, [&](int64_t begin, int64_t end) {
    const at::AutoDispatchBelowADInplaceOrView no_autograd;  // what the caller switched off holds for its thread alone
    Tensor scores = at::empty({rows, columns}, q.options());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / heads, h = i % heads, group = h / shared;
      at::addmm_out(scores, scores, q[b][h], k[b][group].t(), /*beta=*/0, cap > 0 ? scale / cap : scale);
      if (cap > 0) scores.tanh_().mul_(cap);
      if (wide.defined()) scores.add_(wide[b][h]);
      at::_softmax_out(scores, scores, -1, false);  // row by row, so it may write where it reads
      Tensor mixed = result[b][h];
      at::mm_out(mixed, scores, v[b][group]);
    }
  });
  return result;
}

}  // namespace tessera

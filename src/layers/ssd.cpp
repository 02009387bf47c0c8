#include "layers/ssd.h"

#include <limits>
#include <vector>

#include "kernels/inference.h"
#include "kernels/recurrence.h"

namespace tessera {
namespace {

using torch::Tensor;

/// B x L x ... -> B x chunks x chunk x ..., filled up with zeros, which change no state where dt is among them.
Tensor in_chunks(const Tensor& x, int64_t chunk) {
  const int64_t batch = x.size(0), chunks = (x.size(1) + chunk - 1) / chunk;
  auto shape = x.sizes().vec();
  shape[1] = chunks * chunk - x.size(1);
  const Tensor filled = shape[1] == 0 ? x : torch::cat({x, torch::zeros(shape, x.options())}, 1);
  shape[1] = chunk;
  shape[0] = chunks;
  shape.insert(shape.begin(), batch);
  return filled.reshape(shape);
}

Tensor first_state(const SsdInputs& in, const Tensor& state) {
  if (state.defined()) return state;
  return torch::zeros({in.x.size(0), in.x.size(2), in.x.size(3), in.b.size(3)}, in.x.options().requires_grad(false));
}

/// Both forms by the kernel of selective scans, in which the channels of a head decay alike.
SsdResult by_kernel(const SsdInputs& in, const Tensor& state) {
  const int64_t heads = in.x.size(2), width = in.x.size(3);
  const Tensor a = in.a.view({heads, 1}).expand({heads, width}).reshape({heads * width, 1});
  Tensor after = first_state(in, state).flatten(1, 2);  // B x heads P x N
  const Tensor y =
      fused_selective_scan(in.x.flatten(2), in.dt.unsqueeze(-1).expand_as(in.x).flatten(2), a, in.b, in.c, after);
  return {y.view_as(in.x), after.unflatten(1, {heads, width})};
}

bool may_use_kernel(const SsdInputs& in, const Tensor& state) {
  return for_inference({in.x, in.dt, in.a, in.b, in.c, state});
}

}  // namespace

SsdResult ssd_scan(const SsdInputs& in, const Tensor& state, int64_t chunk) {
  if (may_use_kernel(in, state)) return by_kernel(in, state);
  const int64_t batch = in.x.size(0), length = in.x.size(1), heads = in.x.size(2), width = in.x.size(3);
  const int64_t groups = in.b.size(2), size = in.b.size(3), each = heads / groups;
  // Letters: n chunks, Q tokens of a chunk, G groups, E heads of a group.
  const Tensor dt = in_chunks(in.dt, chunk);  // B x n x Q x heads
  const int64_t chunks = dt.size(1);
  const Tensor x = (in_chunks(in.x, chunk) * dt.unsqueeze(-1))
                       .view({batch, chunks, chunk, groups, each, width})
                       .permute({0, 1, 3, 4, 2, 5});                              // B x n x G x E x Q x P
  const Tensor b = in_chunks(in.b, chunk).permute({0, 1, 3, 2, 4}).unsqueeze(3);  // B x n x G x 1 x Q x N
  const Tensor c = in_chunks(in.c, chunk).permute({0, 1, 3, 2, 4}).unsqueeze(3);
  const Tensor log_decay = (dt * in.a).cumsum(2).view({batch, chunks, chunk, groups, each}).permute({0, 1, 3, 4, 2});
  const Tensor total = log_decay.select(-1, chunk - 1);  // B x n x G x E

  // Inside the chunk: what token j gave has decayed from j to i.
  const Tensor later = torch::ones({chunk, chunk}, x.options().dtype(torch::kBool).requires_grad(false)).triu(1);
  const Tensor between = (log_decay.unsqueeze(-1) - log_decay.unsqueeze(-2))
                             .masked_fill(later, -std::numeric_limits<float>::infinity())
                             .exp();  // B x n x G x E x Q x Q
  Tensor y = torch::matmul(torch::matmul(c, b.transpose(-2, -1)) * between, x);

  // Between chunks: what each adds to the state, and the state that each begins with.
  const Tensor kept = (total.unsqueeze(-1) - log_decay).exp().unsqueeze(-1);
  const Tensor added = torch::matmul((x * kept).transpose(-2, -1), b).view({batch, chunks, heads, width, size});
  const Tensor decay = total.exp().view({batch, chunks, heads, 1, 1});
  Tensor current = first_state(in, state);
  std::vector<Tensor> before;
  for (int64_t i = 0; i < chunks; ++i) {
    before.push_back(current);
    current = current * decay.select(1, i) + added.select(1, i);
  }
  const Tensor begin = torch::stack(before, 1).view({batch, chunks, groups, each, width, size});
  y = y + torch::matmul(c, begin.transpose(-2, -1)) * log_decay.exp().unsqueeze(-1);
  y = y.permute({0, 1, 4, 2, 3, 5}).reshape({batch, chunks * chunk, heads, width});
  return {y.narrow(1, 0, length), current};
}

SsdResult ssd_step(const SsdInputs& in, const Tensor& state) {
  if (may_use_kernel(in, state)) return by_kernel(in, state);
  const int64_t each = in.x.size(2) / in.b.size(2);
  const Tensor x = in.x.select(1, 0), dt = in.dt.select(1, 0);                 // B x heads x P, B x heads
  const Tensor b = in.b.select(1, 0).repeat_interleave(each, 1).unsqueeze(2);  // B x heads x 1 x N
  const Tensor c = in.c.select(1, 0).repeat_interleave(each, 1).unsqueeze(3);  // B x heads x N x 1
  const Tensor decay = (dt * in.a).exp().unsqueeze(-1).unsqueeze(-1);
  const Tensor next = first_state(in, state) * decay + (x * dt.unsqueeze(-1)).unsqueeze(-1) * b;
  return {torch::matmul(next, c).squeeze(-1).unsqueeze(1), next};
}

}  // namespace tessera

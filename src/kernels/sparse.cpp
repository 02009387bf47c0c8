#include "kernels/sparse.h"

#include "core/error.h"
#include "kernels/panels.h"

namespace tessera {

using torch::Tensor;

namespace {

/// Outputs x inputs / 4 x 4: which are not zero.
Tensor fours(const Tensor& weight) { return weight.ne(0).view({weight.size(0), weight.size(1) / 4, 4}); }

/// The places of the two of four inputs whose bits are set; where fewer are, of others beside them.
constexpr uint8_t places_of(int bits) {
  for (int first = 0; first < 4; ++first)
    for (int second = first + 1; second < 4; ++second)
      if ((bits & ~(1 << first | 1 << second)) == 0) return static_cast<uint8_t>(first + 4 * second);
  return 0;
}

/// Outputs x inputs / 4 x 2, int64: where the two stand.
Tensor pairs(const Tensor& places) {
  return torch::stack({places.bitwise_and(3), places.div(4, "floor")}, -1).to(torch::kInt64);
}

}  // namespace

bool is_two_of_four(const Tensor& weight) {
  if (weight.size(1) % 4 != 0 || weight.numel() == 0) return false;
  const auto holds = [](const Tensor& rows) {
    return fours(rows).sum(-1, false, torch::kUInt8).le(2).all().item<bool>();
  };
  return holds(weight.narrow(0, 0, 1)) && holds(weight);  // a weight that is not such is known by its first output
}

Sparse to_sparse(const Tensor& weight) {
  std::vector<uint8_t> table(16);
  for (int bits = 0; bits < 16; ++bits) table[static_cast<size_t>(bits)] = places_of(bits);
  const Tensor bits = torch::tensor({1, 2, 4, 8}, torch::kUInt8);
  const Tensor number = fours(weight).to(torch::kUInt8).mul(bits).sum(-1, false, torch::kInt64);
  const Tensor places = torch::tensor(table, torch::kUInt8).index({number});
  const Tensor kept = weight.view({weight.size(0), -1, 4}).gather(2, pairs(places));
  return {kept.flatten(1), places};
}

Tensor to_dense(const Sparse& sparse) {
  const int64_t outputs = sparse.places.size(0), blocks = sparse.places.size(1);
  const Tensor zeros = torch::zeros({outputs, blocks, 4}, sparse.kept.options());
  return zeros.scatter(2, pairs(sparse.places), sparse.kept.reshape({outputs, blocks, 2})).flatten(1);
}

Tensor to_place_panels(const Tensor& places) {
  const int64_t outputs = places.size(0), panels = (outputs + kPanel - 1) / kPanel;
  const Tensor filled = torch::constant_pad_nd(places, {0, 0, 0, panels * kPanel - outputs}, places_of(0));
  const Tensor parts = filled.view({panels, kPanel, places.size(1) / 8, 4, 2});
  return (parts.select(4, 0) + parts.select(4, 1) * 16).transpose(1, 2).contiguous();
}

Tensor from_place_bytes(const Tensor& bytes) {
  return torch::stack({bytes.bitwise_and(15), bytes.div(16, "floor")}, -1).flatten(1);
}

Tensor keep_largest(const Tensor& weight, int64_t kept, int64_t of) {
  if (of < 1 || kept < 1 || kept > of) throw Error("cannot keep " + std::to_string(kept) + " of " + std::to_string(of));
  if (weight.dim() != 2 || weight.size(1) % of != 0)
    throw Error("has inputs that are no multiple of " + std::to_string(of), "weight");
  const Tensor groups = weight.view({weight.size(0), -1, of});
  const Tensor order = groups.abs().argsort(/*stable=*/true, -1, /*descending=*/true).narrow(-1, 0, kept);
  const Tensor zeros = torch::zeros_like(groups);
  return zeros.scatter(-1, order, groups.gather(-1, order)).view(weight.sizes());
}

}  // namespace tessera

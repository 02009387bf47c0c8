#include "kernels/sparse.h"

#include "core/error.h"
#include "core/parallel.h"
#include "kernels/panels.h"

namespace tessera {

using torch::Tensor;

namespace {

/// Outputs x inputs / of x of.
Tensor groups_of(const Tensor& weight, int64_t of) { return weight.view({weight.size(0), weight.size(1) / of, of}); }

/// Where the numbers of a group stand that are not zero; where they are too few, where others stand.
void find_places(const bool* not_zero, const SparsePattern& pattern, uint8_t* places) {
  int64_t found = 0;
  for (const bool wanted : {true, false})
    for (int64_t place = 0; place < pattern.of && found < pattern.kept; ++place)
      if (not_zero[place] == wanted) places[found++] = static_cast<uint8_t>(place);
}

}  // namespace

bool has_pattern(const Tensor& weight, const SparsePattern& pattern) {
  if (weight.size(1) % pattern.of != 0 || weight.numel() == 0) return false;
  const auto holds = [&](const Tensor& rows) {
    const Tensor count = groups_of(rows.ne(0), pattern.of).sum(-1, false, torch::kUInt8);
    return count.le(pattern.kept).all().item<bool>();
  };
  return holds(weight.narrow(0, 0, 1)) && holds(weight);  // a weight that has not is known by its first output
}

Sparse to_sparse(const Tensor& weight, const SparsePattern& pattern) {
  const int64_t outputs = weight.size(0), groups = weight.size(1) / pattern.of;
  const Tensor not_zero = weight.ne(0).contiguous();
  const Tensor places = torch::empty({outputs, groups, pattern.kept}, torch::kUInt8);
  const auto* from = not_zero.data_ptr<bool>();
  auto* to = places.data_ptr<uint8_t>();
  in_parallel_by_rows(outputs, [&](int64_t output) {
    for (int64_t group = output * groups; group < (output + 1) * groups; ++group)
      find_places(from + group * pattern.of, pattern, to + group * pattern.kept);
  });
  const Tensor kept = torch::empty(places.sizes(), weight.options().requires_grad(false));
  by_slices(outputs, [&](int64_t first, int64_t count) {  // an index has eight bytes
    const Tensor some = groups_of(weight.narrow(0, first, count), pattern.of);
    kept.narrow(0, first, count).copy_(some.gather(2, places.narrow(0, first, count).to(torch::kInt64)));
  });
  return {pattern, kept.flatten(1), places.flatten(1)};
}

Tensor to_dense(const Sparse& sparse) {
  const auto [kept, of] = sparse.pattern;
  const int64_t outputs = sparse.places.size(0), groups = sparse.places.size(1) / kept;
  const Tensor zeros = torch::zeros({outputs, groups, of}, sparse.kept.options());
  const Tensor places = sparse.places.reshape({outputs, groups, kept}).to(torch::kInt64);
  return zeros.scatter(2, places, sparse.kept.reshape({outputs, groups, kept})).flatten(1);
}

Tensor to_place_panels(const Sparse& sparse, torch::ScalarType type) {
  const int64_t outputs = sparse.places.size(0), panels = (outputs + kPanel - 1) / kPanel;
  const int64_t bits = sparse.pattern.place_bits(), parts = inputs_together(type);
  const int64_t words = sparse.places.size(1) / sparse.pattern.places_of_word();
  const Tensor filled = torch::constant_pad_nd(sparse.places, {0, 0, 0, panels * kPanel - outputs});
  const Tensor places = filled.view({panels, kPanel, words, 4 / parts, 8 / bits, parts});
  Tensor bytes = torch::zeros({panels, kPanel, words, 4 / parts, parts}, torch::kUInt8);
  for (int64_t i = 0; i < 8 / bits; ++i) bytes += places.select(4, i) * (1 << bits * i);
  return bytes.transpose(3, 4).reshape({panels, kPanel, words, 4}).transpose(1, 2).contiguous();
}

Tensor from_place_bytes(const Tensor& bytes, const SparsePattern& pattern, torch::ScalarType type) {
  const int64_t bits = pattern.place_bits(), parts = inputs_together(type);
  const Tensor ordered = bytes.reshape({bytes.size(0), bytes.size(1), parts, 4 / parts}).transpose(2, 3);
  std::vector<Tensor> places;
  for (int64_t i = 0; i < 8 / bits; ++i)
    places.push_back(ordered.div(1 << bits * i, "floor").bitwise_and((1 << bits) - 1));
  return torch::stack(places, 3).flatten(1);
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

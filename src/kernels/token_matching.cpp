#include "kernels/token_matching.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "kernels/cpu/pack_rows.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/token_matching.h"
#include "kernels/flops.h"
#include "kernels/panels.h"

namespace tessera {
namespace {

using torch::Tensor;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void expect_shape(const Tensor& x, torch::IntArrayRef wanted, const std::string& name) {
  if (x.sizes() != wanted) throw Error("has the shape " + c10::str(x.sizes()) + ", not " + c10::str(wanted), name);
}

/// x, copied where its rows are not contiguous. Rows of no numbers become rows of a 0, which have an address.
Tensor with_whole_rows(const Tensor& x) {
  if (x.size(2) == 0) return torch::zeros({x.size(0), x.size(1), 1}, x.options());
  return x.size(2) == 1 || x.stride(2) == 1 ? x : x.contiguous();
}

/// The tokens of a batch in memory.
struct TokenRows {
  explicit TokenRows(const Tensor& x) : kept(with_whole_rows(x)), data(kept.data_ptr<float>()) {}
  const float* at(int64_t b, int64_t token) const { return data + b * kept.stride(0) + token * kept.stride(1); }
  Tensor kept;
  const float* data;
};

/// Some sources of one sequence of a batch.
struct Sources {
  int64_t b, first, count;
};

/// The products of some sources with all targets of their batch, 64 targets at a time: fold(products, first target,
/// states) is called with the states of the sources that the products are of.
template <class State, class Fold>
void fold_products(const TokenRows& sources, const TokenRows& targets, const Sources& some, State* states,
                   const Fold& fold) {
  constexpr int64_t kRows = 96;  // their products with a panel stay in the first cache, or near it
  thread_local cpu::Scratch panel_memory, products_memory;
  const int64_t all = targets.kept.size(1), dim = targets.kept.size(2);
  auto* panel = panel_memory.of<float>(static_cast<size_t>(padded_inputs(dim, torch::kFloat32) * kPanel));
  auto* products = products_memory.of<float>(kRows * kPanel);
  for (int64_t target = 0; target < all; target += kPanel) {
    const int64_t columns = std::min(kPanel, all - target);
    cpu::pack_keys({targets.at(some.b, target), targets.kept.stride(1), columns, dim, false}, panel);
    for (int64_t row = 0; row < some.count; row += kRows) {
      const int64_t rows = std::min(kRows, some.count - row);
      cpu::multiply_panel({cpu::ProductKind::kFloat32, rows, columns, dim, sources.kept.stride(1), kPanel},
                          sources.at(some.b, some.first + row), panel, products);
      fold(cpu::Products{products, rows, columns, kPanel}, target, states + row);
    }
  }
}

/// Folds the products of all sources, divided among the threads: done(b, source, state) is called with each state.
template <class State, class Fold, class Done>
void for_each_source(const Tensor& all_sources, const Tensor& all_targets, const Fold& fold, const Done& done) {
  constexpr int64_t kFewest = 48;  // for fewer sources packing the targets once more takes too long
  const TokenRows sources(all_sources), targets(all_targets);
  const int64_t batch = all_sources.size(0), count = all_sources.size(1);
  if (batch == 0 || count == 0) return;
  const int64_t wanted = (2 * at::get_num_threads() + batch - 1) / batch;
  const int64_t parts = std::clamp<int64_t>(wanted, 1, (count + kFewest - 1) / kFewest);
  in_parallel(batch * parts, [&](int64_t item) {
    const int64_t b = item / parts, part = item % parts, first = part * count / parts;
    const Sources some{b, first, (part + 1) * count / parts - first};
    std::vector<State> states(static_cast<size_t>(some.count));
    fold_products(sources, targets, some, states.data(),
                  [&](const cpu::Products& products, int64_t target, State* of) { fold(b, products, target, of); });
    for (int64_t i = 0; i < some.count; ++i) done(b, first + i, states[static_cast<size_t>(i)]);
  });
  kernel_flops() += 2 * batch * count * all_targets.size(1) * all_targets.size(2);
}

/// 0 for a target that may be chosen and -infinity for others, also for those that fill up the last panel.
Tensor offsets_of(const Tensor& mask, int64_t batch, int64_t targets) {
  const Tensor all = torch::full({batch, (targets + kPanel - 1) / kPanel * kPanel}, -kInfinity, torch::kFloat32);
  const Tensor real = all.narrow(1, 0, targets);
  mask.defined() ? real.masked_fill_(mask, 0) : real.zero_();
  return all;
}

/// The first target that may be chosen, -1 where there is none.
int64_t first_of(const float* offsets, int64_t targets) {
  const float* found = std::find(offsets, offsets + targets, 0.0F);
  return found == offsets + targets ? -1 : found - offsets;
}

}  // namespace

Matches best_matches(const Tensor& sources, const Tensor& targets, const Tensor& mask) {
  const torch::NoGradGuard no_gradient;
  const int64_t batch = sources.size(0), count = sources.size(1), all = targets.size(1);
  expect_shape(targets, {batch, all, sources.size(2)}, "targets");
  if (mask.defined()) expect_shape(mask, {batch, all}, "mask");
  const Tensor offsets = offsets_of(mask, batch, all);
  Matches found{torch::empty({batch, count}, torch::kFloat32), torch::empty({batch, count}, torch::kInt64)};
  const auto* offset = offsets.data_ptr<float>();
  auto* scores = found.scores.data_ptr<float>();
  auto* indices = found.indices.data_ptr<int64_t>();
  for_each_source<cpu::BestInLanes>(
      sources, targets,
      [&](int64_t b, const cpu::Products& products, int64_t target, cpu::BestInLanes* states) {
        cpu::keep_best(products, offset + b * offsets.size(1) + target, target, states);
      },
      [&](int64_t b, int64_t source, const cpu::BestInLanes& best) {
        int64_t lane = 0;
        for (int64_t i = 1; i < cpu::kMostLanes; ++i)
          if (best.scores[i] > best.scores[lane] ||
              (best.scores[i] == best.scores[lane] && best.targets[i] < best.targets[lane]))
            lane = i;
        const float score = best.scores[lane];
        scores[b * count + source] = score;
        indices[b * count + source] =
            score > -kInfinity ? best.targets[lane] : first_of(offset + b * offsets.size(1), all);
      });
  return found;
}

namespace {

/// @param factor  of the mean
Tensor mean_energy(const Tensor& tokens, const cpu::PairEnergy& energy, double factor) {
  const torch::NoGradGuard no_gradient;
  const int64_t count = tokens.size(1);
  const Tensor result = torch::empty({tokens.size(0), count}, torch::kFloat32);
  auto* energies = result.data_ptr<float>();
  for_each_source<cpu::SumsInLanes>(
      tokens, tokens,
      [&](int64_t, const cpu::Products& products, int64_t, cpu::SumsInLanes* sums) {
        cpu::add_energies(products, energy, sums);
      },
      [&](int64_t b, int64_t token, const cpu::SumsInLanes& lanes) {
        const double sum = std::accumulate(std::begin(lanes.sums), std::end(lanes.sums), 0.0);
        energies[b * count + token] = static_cast<float>(factor * sum / static_cast<double>(count));
      });
  return result;
}

}  // namespace

Tensor elu_energy(const Tensor& tokens, double margin, double alpha) {
  return mean_energy(tokens, {.margin = static_cast<float>(margin), .alpha = static_cast<float>(alpha)}, 1);
}

Tensor gaussian_energy(const Tensor& tokens, double sigma) {
  if (!(sigma > 0)) throw Error("is " + std::to_string(sigma) + ", and not above 0", "sigma");
  constexpr double kRootOfTwoPi = 2.5066282746310002;
  return mean_energy(tokens, {.gaussian = true, .sigma = static_cast<float>(sigma)}, 1 / (sigma * kRootOfTwoPi));
}

namespace {

/// The tokens of every group of a sequence, in their order.
struct Members {
  Members(const int64_t* groups, int64_t tokens, int64_t count);
  int64_t size(int64_t group) const { return ends[at(group) + 1] - ends[at(group)]; }
  const int64_t* of(int64_t group) const { return all.data() + ends[at(group)]; }
  static size_t at(int64_t group) { return static_cast<size_t>(group); }

  std::vector<int64_t> all, ends;  // ends: where each group ends, after a 0
};

Members::Members(const int64_t* groups, int64_t tokens, int64_t count)
    : all(static_cast<size_t>(tokens)), ends(static_cast<size_t>(count) + 1) {
  for (int64_t i = 0; i < tokens; ++i) {
    if (groups[i] >= count) throw Error("is not below " + std::to_string(count), "group " + std::to_string(groups[i]));
    if (groups[i] >= 0) ++ends[at(groups[i]) + 1];
  }
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<int64_t> next(ends);
  for (int64_t i = 0; i < tokens; ++i)
    if (groups[i] >= 0) all[at(next[at(groups[i])]++)] = i;
}

float divisor_of(MergedAs as, int64_t tokens, float mass) {
  if (as == MergedAs::kWeightedMean) return mass;
  return as == MergedAs::kMean ? static_cast<float>(tokens) : 1;
}

}  // namespace

Merged merge_tokens(const Tensor& given, const Tensor& of_groups, int64_t count, MergedAs as, const Tensor& of_masses) {
  const torch::NoGradGuard no_gradient;
  const int64_t batch = given.size(0), tokens = given.size(1), width = given.size(2);
  expect_shape(of_groups, {batch, tokens}, "groups");
  if (of_masses.defined()) expect_shape(of_masses, {batch, tokens}, "masses");
  const TokenRows x(given);
  const Tensor groups = of_groups.contiguous(), masses = of_masses.defined() ? of_masses.contiguous() : Tensor();
  const Merged merged{torch::empty({batch, count, width}, torch::kFloat32),
                      torch::empty({batch, count}, torch::kFloat32)};
  const auto* group_of = groups.data_ptr<int64_t>();
  const auto* mass_of = masses.defined() ? masses.data_ptr<float>() : nullptr;
  auto *to = merged.x.data_ptr<float>(), *to_masses = merged.masses.data_ptr<float>();
  std::vector<Members> members;
  for (int64_t b = 0; b < batch; ++b) members.emplace_back(group_of + b * tokens, tokens, count);
  in_parallel_by_rows(batch * count, [&](int64_t row) {
    const int64_t b = row / count, group = row % count, size = members[static_cast<size_t>(b)].size(group);
    const int64_t* own = members[static_cast<size_t>(b)].of(group);
    const float* weights = mass_of ? mass_of + b * tokens : nullptr;
    float mass = weights ? 0 : static_cast<float>(size);
    for (int64_t i = 0; weights && i < size; ++i) mass += weights[own[i]];
    to_masses[row] = mass;
    float* out = to + row * width;
    if (size == 0 || (as == MergedAs::kWeightedMean && mass == 0)) return void(std::fill_n(out, width, 0.0F));
    if (size == 1) return void(std::copy_n(x.at(b, own[0]), width, out));
    cpu::merge_group({.x = x.at(b, 0),
                      .stride = x.kept.stride(1),
                      .width = width,
                      .members = own,
                      .count = size,
                      .weights = as == MergedAs::kWeightedMean ? weights : nullptr,
                      .divisor = divisor_of(as, size, mass),
                      .largest = as == MergedAs::kLargest},
                     out);
  });
  return merged;
}

}  // namespace tessera

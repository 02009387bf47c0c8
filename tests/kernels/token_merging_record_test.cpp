// The matching and merging of ToMe and PiToMe, made of the kernels, against recorded runs of the authors' code. The
// folders in recorded/ are goldens (merge_functions of each) for systems that have no adapter yet.
#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/token_matching.h"
#include "processors/golden_file.h"

namespace tessera {
namespace {

using torch::Tensor;

struct Record {
  explicit Record(const std::string& system)
      : folder(std::filesystem::path(TESSERA_SOURCE_DIR) / "tests/kernels/recorded" / system),
        cases(testing::read_json(folder / "golden.json")["cases"]),
        tensors(testing::read_tensors(folder / "cases.safetensors")) {}
  std::filesystem::path folder;
  nlohmann::json cases;
  std::map<std::string, Tensor> tensors;
};

/// A case by the names of its tensors.
struct Case {
  Tensor in(const std::string& key) const { return tensors.at(name + "/in/" + key); }
  bool has_size() const { return tensors.count(name + "/in/size") > 0; }
  Tensor masses() const { return has_size() ? in("size").squeeze(-1) : Tensor(); }
  /// Whether the case records it: what it does must be that.
  void expect(const std::string& key, const Tensor& got) const {
    const auto found = tensors.find(name + "/out/" + key);
    if (found == tensors.end()) return;
    const Tensor& wanted = found->second;
    ASSERT_EQ(got.sizes(), wanted.sizes()) << name << " " << key;
    EXPECT_TRUE(got.allclose(wanted, 1e-3, 1e-4)) << name << " " << key;
  }
  std::string name;
  nlohmann::json attributes;
  const std::map<std::string, Tensor>& tensors;
};

template <class Check>
int for_each_case(const Record& record, const std::string& call, const Check& check) {
  int count = 0;
  for (const auto& entry : record.cases)
    if (entry["call"] == call) ++count, check(Case{entry["name"], entry["attributes"], record.tensors});
  return count;
}

Tensor of_length_one(const Tensor& x) { return x / x.norm(2, -1, true); }

/// Every `step`-th token from `first` on: a view.
Tensor every(const Tensor& x, int64_t first, int64_t step) { return x.slice(1, first, x.size(1), step); }

Tensor order_of(const Tensor& scores) { return std::get<1>(torch::sort(scores, true, -1, true)); }

/// The groups of tokens from lists of tokens: those that stay are groups of their own, in this order, and each of the
/// others goes where its partner is.
Tensor groups_of(const Tensor& stay, const Tensor& go, const Tensor& partner) {
  const int64_t batch = stay.size(0);
  const Tensor groups = torch::full({batch, stay.size(1) + go.size(1)}, -1, torch::kInt64);
  groups.scatter_(1, stay, torch::arange(stay.size(1)).expand(stay.sizes()).contiguous());
  return go.size(1) == 0 ? groups : groups.scatter_(1, go, groups.gather(1, partner));
}

/// ToMe: even tokens choose odd ones, and the `r` best matches are merged.
Tensor bipartite_groups(const Tensor& metric, int64_t r, bool class_token, bool distill_token) {
  const Tensor unit = of_length_one(metric), sources = every(unit, 0, 2), targets = every(unit, 1, 2);
  Tensor mask = torch::ones({targets.size(0), targets.size(1)}, torch::kBool);
  if (distill_token) mask.select(1, 0).fill_(false);
  const Matches found = best_matches(sources, targets, mask);
  if (class_token) found.scores.select(1, 0).fill_(-INFINITY);
  r = std::min(r, (metric.size(1) - class_token - distill_token) / 2);
  const Tensor order = order_of(found.scores), go = order.narrow(1, 0, r);
  Tensor kept = order.narrow(1, r, order.size(1) - r);
  if (class_token) kept = std::get<0>(kept.sort());
  const Tensor odd = torch::arange(1, metric.size(1), 2).expand({metric.size(0), -1}), even = 2 * kept;
  const Tensor stay = distill_token
                          ? torch::cat({even.narrow(1, 0, 1), odd.narrow(1, 0, 1), even.narrow(1, 1, even.size(1) - 1),
                                        odd.narrow(1, 1, odd.size(1) - 1)},
                                       1)
                          : torch::cat({even, odd}, 1);
  return groups_of(stay, 2 * go, 2 * found.indices.gather(1, go) + 1);
}

void expect_merged(const Case& of, const Tensor& groups) {
  const Tensor x = of.in("x");
  const int64_t count = groups.max().item<int64_t>() + 1;
  const auto as = [&](MergedAs how, const Tensor& masses = {}) { return merge_tokens(x, groups, count, how, masses); };
  const Merged weighted = as(MergedAs::kWeightedMean, of.masses());
  of.expect("wavg", weighted.x);
  of.expect("size", weighted.masses.unsqueeze(-1));
  for (const char* name : {"merged_mean", "mean"}) of.expect(name, as(MergedAs::kMean).x);
  of.expect("merged_sum", as(MergedAs::kSum).x);
  of.expect("merged_amax", as(MergedAs::kLargest).x);
  const Tensor itself = torch::eye(x.size(1)).expand({x.size(0), -1, -1});
  of.expect("source", merge_tokens(itself, groups, count, MergedAs::kLargest).x.contiguous());
  if (groups.min().item<int64_t>() >= 0)
    of.expect("unmerged", weighted.x.gather(1, groups.unsqueeze(-1).expand(x.sizes())));
}

TEST(TokenMergingRecord, BipartiteMatchingIsThatOfToMe) {
  const int cases = for_each_case(Record("tome"), "bipartite_soft_matching", [](const Case& of) {
    const auto& how = of.attributes;
    expect_merged(of, bipartite_groups(of.in("metric"), how["r"], how["class_token"], how["distill_token"]));
  });
  EXPECT_EQ(cases, 5);
}

/// The last of every `k` tokens is chosen by the others; what is left at the end is dropped.
TEST(TokenMergingRecord, MatchingWithEveryKthTokenIsThatOfToMe) {
  const int cases = for_each_case(Record("tome"), "kth_bipartite_soft_matching", [](const Case& of) {
    const int64_t k = of.attributes["k"];
    const Tensor unit = of_length_one(of.in("metric"));
    const int64_t batch = unit.size(0), whole = unit.size(1) / k;
    const Tensor blocks = unit.narrow(1, 0, whole * k).unflatten(1, {whole, k});
    const Matches found = best_matches(blocks.narrow(2, 0, k - 1).flatten(1, 2), blocks.select(2, k - 1));
    const Tensor chosen = torch::arange(whole).view({1, whole, 1}).expand({batch, whole, 1});
    const Tensor groups = torch::cat({found.indices.view({batch, whole, k - 1}), chosen}, 2).flatten(1, 2);
    expect_merged(of, torch::constant_pad_nd(groups, {0, unit.size(1) - whole * k}, -1));
  });
  EXPECT_EQ(cases, 2);
}

/// The tokens that PiToMe orders by their energy, as indices into the sequence.
struct Ordered {
  Tensor unit, order;     ///< tokens of length 1, and which comes at each place
  int64_t first, merged;  ///< the class token lies before the first; so many tokens go
};

template <class Energy>
Ordered ordered(const Case& of, const Energy& energy) {
  const Tensor unit = of_length_one(of.in("metric"));
  const int64_t first = of.attributes["class_token"].get<bool>() ? 1 : 0, count = unit.size(1) - first;
  const double ratio = of.attributes["ratio"];
  const Tensor energies = energy(unit.narrow(1, first, count));
  of.expect("energy", energies);
  return {unit, order_of(energies) + first, first,
          static_cast<int64_t>(std::floor(static_cast<double>(count) - static_cast<double>(count) * ratio))};
}

/// `go` choose among `targets`; the class token, `rest` and the targets stay.
Tensor chosen_groups(const Ordered& all, const Tensor& go, const Tensor& rest, const Tensor& targets) {
  const auto tokens = [&](const Tensor& which) {
    return all.unit.gather(1, which.unsqueeze(-1).expand({-1, -1, all.unit.size(2)}));
  };
  const Tensor partner = targets.gather(1, best_matches(tokens(go), tokens(targets)).indices);
  const Tensor head = torch::arange(all.first).expand({go.size(0), all.first});
  return groups_of(torch::cat({head, rest, targets}, 1), go, partner);
}

TEST(TokenMergingRecord, ProtectingByEnergyIsThatOfPiToMe) {
  int protect = 0;
  for_each_case(Record("pitome"), "pitome_vision", [&](const Case& of) {
    const double margin = of.attributes["margin"];
    const Ordered all = ordered(of, [&](const Tensor& tokens) { return elu_energy(tokens, margin); });
    if (of.attributes["use_bsm"] || of.attributes["use_bsm_pitome"]) return;
    ++protect;
    const Tensor mergeable = all.order.narrow(1, 0, 2 * all.merged);
    const Tensor rest = all.order.narrow(1, 2 * all.merged, all.order.size(1) - 2 * all.merged);
    expect_merged(of, chosen_groups(all, every(mergeable, 0, 2), rest, every(mergeable, 1, 2)));
  });
  EXPECT_EQ(protect, 2);
}

TEST(TokenMergingRecord, MergingTextsByEnergyIsThatOfPiToMe) {
  const int cases = for_each_case(Record("pitome"), "pitome_text", [](const Case& of) {
    const double margin = of.attributes["margin"];
    const Ordered all = ordered(of, [&](const Tensor& tokens) { return gaussian_energy(tokens, 1 - margin); });
    const int64_t r = all.merged;
    const Tensor rest = all.order.narrow(1, 2 * r, all.order.size(1) - 2 * r);
    expect_merged(of, chosen_groups(all, all.order.narrow(1, 0, r), rest, all.order.narrow(1, r, r)));
  });
  EXPECT_EQ(cases, 2);
}

}  // namespace
}  // namespace tessera

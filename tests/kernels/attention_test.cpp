#include "kernels/attention.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include "kernels/instruction_sets.h"

#include <limits>

namespace tessera {
namespace {

using torch::Tensor;

/// The same by LibTorch's own parts, in double.
Tensor plain(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionPattern& pattern) {
  const int64_t shared = q.size(1) / k.size(1), length = q.size(2), keys = k.size(2);
  const auto wide = [&](const Tensor& x) { return x.to(torch::kFloat64).repeat_interleave(shared, 1); };
  Tensor scores = q.to(torch::kFloat64).matmul(wide(k).transpose(-2, -1)) * pattern.scale;
  if (pattern.cap > 0) scores = torch::tanh(scores / pattern.cap) * pattern.cap;
  if (pattern.bias.defined()) scores = scores + pattern.bias;
  Tensor hidden = torch::zeros({length, keys}, torch::kBool);
  if (pattern.causal) hidden = torch::ones({length, keys}, torch::kBool).triu(keys - length + 1);
  if (pattern.causal && pattern.window > 0)
    hidden = hidden | torch::ones({length, keys}, torch::kBool).tril(keys - length - pattern.window);
  Tensor all = hidden.view({1, 1, length, keys});
  if (pattern.mask.defined()) all = all | pattern.mask.logical_not().unsqueeze(1).unsqueeze(1);
  return torch::softmax(scores.masked_fill(all, -1e30), -1).matmul(wide(v));
}

struct Case {
  int64_t batch, heads, groups, length, keys, dim, value_dim;
};

/// How the tests' names show it.
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.batch << " x " << c.heads << " heads of " << c.groups << ", " << c.length << " queries, " << c.keys
       << " keys, width " << c.dim << " and " << c.value_dim;
}

class FusedAttentionTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    torch::manual_seed(11);
    const Case& c = GetParam();
    q_ = torch::randn({c.batch, c.length, c.heads, c.dim}).transpose(1, 2);
    k_ = torch::randn({c.batch, c.keys, c.groups, c.dim}).transpose(1, 2);
    v_ = torch::randn({c.batch, c.groups, c.keys, c.value_dim});
    scale_ = 1 / std::sqrt(static_cast<double>(c.dim));
  }
  void expect_plain(const AttentionPattern& pattern) const {
    testing::with_each_instruction_set([&] { expect_plain_once(pattern); });
  }
  void expect_plain_once(const AttentionPattern& pattern) const {
    const Tensor wanted = plain(q_, k_, v_, pattern), made = fused_attention(q_, k_, v_, pattern);
    EXPECT_EQ(made.sizes(), wanted.sizes());
    EXPECT_TRUE(made.to(torch::kFloat64).allclose(wanted, 1e-5, 1e-5));
    if (!can_fuse_attention(narrow(q_), narrow(k_), narrow(v_))) return;
    const Tensor of_narrow = plain(narrow(q_), narrow(k_), narrow(v_), pattern);
    const Tensor also = fused_attention(narrow(q_), narrow(k_), narrow(v_), pattern).to(torch::kFloat64);
    EXPECT_LT((also - of_narrow).abs().max().item<double>(), 0.03);
  }
  static Tensor narrow(const Tensor& x) { return x.to(torch::kBFloat16); }

  Tensor q_, k_, v_;
  double scale_ = 1;
};

TEST_P(FusedAttentionTest, IsTheSoftmaxOfTheProducts) {
  expect_plain({.scale = scale_});
  expect_plain({.scale = scale_, .cap = 2});
}

TEST_P(FusedAttentionTest, ACausalQuerySeesNothingLater) {
  if (q_.size(2) > k_.size(2)) GTEST_SKIP() << "more queries than keys";
  expect_plain({.causal = true, .scale = scale_});
  expect_plain({.causal = true, .window = 3, .scale = scale_});
  expect_plain({.causal = true, .window = 100, .scale = scale_});
}

TEST_P(FusedAttentionTest, PaddedKeysCountForNothing) {
  Tensor mask = torch::rand({k_.size(0), k_.size(2)}).lt(0.6);
  mask.select(1, 0).fill_(true);
  expect_plain({.mask = mask, .scale = scale_});
  if (q_.size(2) <= k_.size(2)) expect_plain({.mask = mask, .causal = true, .scale = scale_});
}

TEST_P(FusedAttentionTest, ABiasBroadcasts) {
  const int64_t length = q_.size(2), keys = k_.size(2);
  expect_plain({.bias = torch::randn({length, keys}), .scale = scale_});
  expect_plain({.bias = torch::randn({1, q_.size(1), length, 1}), .scale = scale_});
  expect_plain({.bias = torch::randn({q_.size(0), 1, 1, keys}), .scale = scale_});
}

INSTANTIATE_TEST_SUITE_P(Shapes, FusedAttentionTest,
                         ::testing::Values(Case{1, 1, 1, 1, 1, 8, 8}, Case{2, 3, 3, 5, 5, 16, 16},
                                           Case{1, 4, 2, 1, 37, 64, 64}, Case{2, 4, 1, 3, 131, 64, 32},
                                           Case{1, 12, 12, 197, 197, 64, 64}, Case{2, 2, 2, 17, 101, 24, 80},
                                           Case{1, 8, 2, 67, 259, 32, 32}, Case{3, 1, 1, 131, 131, 128, 128},
                                           Case{1, 2, 2, 7, 3, 10, 6}, Case{3, 32, 4, 1, 75, 64, 64},
                                           Case{1, 8, 1, 1, 1, 16, 24}));

TEST(FusedAttentionInputTest, AQueryWithoutKeysSeesAllAlike) {
  const Tensor q = torch::randn({1, 1, 6, 8}), k = torch::randn({1, 1, 6, 8}), v = torch::randn({1, 1, 6, 8});
  const Tensor mask = torch::zeros({1, 6}, torch::kBool);
  for (const int64_t queries : {1, 6}) {
    const Tensor made = fused_attention(q.narrow(2, 0, queries), k, v, {.mask = mask, .scale = 1});
    EXPECT_TRUE(made.allclose(v.mean(2, true).expand({1, 1, queries, 8}), 1e-5, 1e-6));
  }
}

TEST(FusedAttentionInputTest, ACausalQueryBehindPaddingAloneSeesAllAlike) {
  const Tensor q = torch::randn({2, 2, 150, 16}), k = torch::randn({2, 2, 150, 16}), v = torch::randn({2, 2, 150, 16});
  Tensor mask = torch::ones({2, 150}, torch::kBool);
  mask[1].narrow(0, 0, 70).fill_(false);
  const Tensor made = fused_attention(q, k, v, {.mask = mask, .causal = true, .scale = 0.25});
  const Tensor wanted = plain(q, k, v, {.mask = mask, .causal = true, .scale = 0.25}).to(torch::kFloat32);
  EXPECT_TRUE(made[1].narrow(1, 0, 70).allclose(v[1].mean(1, true).expand({2, 70, 16}), 1e-4, 1e-5));
  EXPECT_TRUE(made[1].narrow(1, 70, 80).allclose(wanted[1].narrow(1, 70, 80), 1e-4, 1e-5));
  EXPECT_TRUE(made[0].allclose(wanted[0], 1e-4, 1e-5));
}

TEST(FusedAttentionInputTest, ExtremeScoresStayFinite) {
  const Tensor q = torch::full({1, 1, 20, 8}, 1e15), k = torch::randn({1, 1, 20, 8}) * 1e14;
  const Tensor v = torch::randn({1, 1, 20, 8});
  const Tensor bias =
      torch::zeros({20, 20}).masked_fill(torch::rand({20, 20}).lt(0.3), -std::numeric_limits<float>::infinity());
  for (const int64_t queries : {2, 20})
    EXPECT_TRUE(fused_attention(q.narrow(2, 0, queries), k, v, {.bias = bias.narrow(0, 0, queries), .scale = 1})
                    .isfinite()
                    .all()
                    .item<bool>());
}

TEST(FusedAttentionInputTest, NoQueriesAndNoRowsAreNothing) {
  const Tensor k = torch::randn({2, 1, 4, 8});
  EXPECT_EQ(fused_attention(torch::empty({2, 1, 0, 8}), k, k, {}).sizes(), torch::IntArrayRef({2, 1, 0, 8}));
  EXPECT_EQ(fused_attention(torch::empty({0, 1, 3, 8}), k.narrow(0, 0, 0), k.narrow(0, 0, 0), {}).size(0), 0);
}

TEST(FusedAttentionInputTest, OneTypeThatItKnowsIsFused) {
  const Tensor q = torch::randn({1, 1, 4, 8}), odd = torch::randn({1, 1, 4, 7}).to(torch::kBFloat16);
  EXPECT_TRUE(can_fuse_attention(q, q, q));
  EXPECT_FALSE(can_fuse_attention(q, q, q.to(torch::kBFloat16)));
  EXPECT_FALSE(can_fuse_attention(q.to(torch::kFloat64), q.to(torch::kFloat64), q.to(torch::kFloat64)));
  EXPECT_FALSE(can_fuse_attention(odd, odd, odd));
}

}  // namespace
}  // namespace tessera

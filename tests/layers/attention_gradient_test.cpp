#include "layers/attention_gradient.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "layers/attention.h"

namespace tessera {
namespace {

struct Leaves {
  Tensor q, k, v;
};

Leaves leaves(int64_t length, int64_t keys, int64_t heads = 4, int64_t groups = 2, int64_t batch = 2) {
  torch::manual_seed(3);
  const auto leaf = [&](int64_t of, int64_t tokens, int64_t width) {
    return torch::randn({batch, of, tokens, width}).requires_grad_();
  };
  return {leaf(heads, length, 8), leaf(groups, keys, 8), leaf(groups, keys, 6)};
}

/// The gradients of a sum that weighs every number of the result differently.
std::vector<Tensor> gradients(const Leaves& of, const Tensor& result) {
  const Tensor weights = torch::linspace(-1, 1, result.numel()).view(result.sizes());
  return torch::autograd::grad({(result.to(torch::kFloat32) * weights).sum()}, {of.q, of.k, of.v});
}

/// By LibTorch's own parts.
Tensor plain(const Leaves& of, const AttentionPattern& pattern, const Tensor& hidden) {
  const int64_t shared = of.q.size(1) / of.k.size(1);
  Tensor scores = of.q.matmul(of.k.repeat_interleave(shared, 1).transpose(-2, -1)) * pattern.scale;
  if (pattern.cap > 0) scores = torch::tanh(scores / pattern.cap) * pattern.cap;
  if (pattern.bias.defined()) scores = scores + pattern.bias;
  if (hidden.defined()) scores = scores.masked_fill(hidden, -1e30);
  return torch::softmax(scores, -1).matmul(of.v.repeat_interleave(shared, 1));
}

void expect_plain(const Leaves& of, const AttentionPattern& pattern, const Tensor& hidden = {}) {
  const Tensor wanted = plain(of, pattern, hidden), made = attention_with_gradient(of.q, of.k, of.v, pattern);
  EXPECT_TRUE(made.allclose(wanted, 1e-5, 1e-5));
  const auto expected = gradients(of, wanted), found = gradients(of, made);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(found[i].allclose(expected[i], 1e-4, 1e-5)) << i;
}

TEST(AttentionGradient, IsThatOfThePlainForm) {
  expect_plain(leaves(5, 5), {.scale = 0.3});
  expect_plain(leaves(7, 13), {.scale = 0.3, .cap = 0.8});
  expect_plain(leaves(6, 6, 4, 4), {.bias = torch::randn({1, 4, 6, 6}), .scale = 0.3});
}

TEST(AttentionGradient, HiddenKeysTakeNoPart) {
  Tensor mask = torch::ones({2, 9}, torch::kBool);
  mask.index_put_({1, torch::indexing::Slice(6)}, false);
  const Tensor padded = mask.logical_not().view({2, 1, 1, 9});
  expect_plain(leaves(9, 9), {.mask = mask, .scale = 0.3}, padded);
  const Tensor later = torch::ones({4, 9}, torch::kBool).triu(6);
  expect_plain(leaves(4, 9), {.mask = mask, .causal = true, .scale = 0.3}, padded | later);
  const Tensor outside = later | torch::ones({4, 9}, torch::kBool).tril(2);
  expect_plain(leaves(4, 9), {.causal = true, .window = 3, .scale = 0.3}, outside);
}

TEST(AttentionGradient, BlocksOfQueriesAreOne) {  // more scores than a block holds
  const Leaves of = leaves(700, 700, 4, 4, 2);
  const Tensor later = torch::ones({700, 700}, torch::kBool).triu(1);
  expect_plain(of, {.causal = true, .scale = 0.3}, later);
}

TEST(AttentionGradient, OfNarrowNumbersIsNear) {
  const Leaves wide = leaves(20, 20);
  Leaves narrow = wide;
  for (Tensor* x : {&narrow.q, &narrow.k, &narrow.v}) *x = x->detach().to(torch::kBFloat16).requires_grad_();
  const AttentionPattern pattern{.causal = true, .scale = 0.3};
  const auto expected = gradients(wide, attention_with_gradient(wide.q, wide.k, wide.v, pattern));
  const auto found = gradients(narrow, attention_with_gradient(narrow.q, narrow.k, narrow.v, pattern));
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found[i].scalar_type(), torch::kBFloat16);
    const Tensor a = found[i].to(torch::kFloat32).flatten(), b = expected[i].flatten();
    EXPECT_GT(torch::cosine_similarity(a, b, 0).item<double>(), 0.999) << i;
  }
}

TEST(AttentionGradient, ABiasThatLearnsIsReached) {
  const torch::nn::Module nobody;
  const Leaves of = leaves(5, 5);
  const Tensor bias = torch::randn({1, 4, 5, 5}).requires_grad_();
  attend(nobody, of.q, of.k, of.v, {.bias = bias}).sum().backward();
  EXPECT_TRUE(bias.grad().defined());
}

}  // namespace
}  // namespace tessera

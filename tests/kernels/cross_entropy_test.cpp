#include "kernels/cross_entropy.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "kernels/instruction_sets.h"

namespace tessera {
namespace {

using torch::Tensor;

TEST(CrossEntropy, IsThatOfLibTorchWithItsGradient) {
  testing::with_each_instruction_set([] {
    torch::manual_seed(9);
    for (const int64_t classes : {1, 5, 16, 1003})
      for (const double far : {0.0, -300.0, 300.0}) {  // a shift changes nothing
        const Tensor x = (4 * torch::randn({7, classes}) + far).requires_grad_();
        Tensor labels = torch::randint(classes, {7}, torch::kInt64);
        labels[2] = -100;
        const Tensor wanted = torch::cross_entropy_loss(x, labels, {}, at::Reduction::Sum);
        const auto made = cross_entropy(x, labels, 0.5);
        EXPECT_NEAR(made.sum, wanted.item<double>(), 1e-4 * (1 + wanted.item<double>()));
        const Tensor gradient = torch::autograd::grad({wanted * 0.5}, {x})[0];
        EXPECT_TRUE(made.gradient.allclose(gradient, 1e-3, 2e-5)) << classes << " " << far;
      }
  });
}

TEST(CrossEntropy, OfNarrowLogitsIsThatOfTheSameNumbers) {
  torch::manual_seed(10);
  const Tensor x = torch::randn({4, 50}).to(torch::kBFloat16), labels = torch::tensor({0L, 49L, 7L, 3L});
  const auto narrow = cross_entropy(x, labels, 2), wide = cross_entropy(x.to(torch::kFloat32), labels, 2);
  EXPECT_EQ(narrow.sum, wide.sum);
  EXPECT_TRUE(narrow.gradient.equal(wide.gradient.to(torch::kBFloat16)));
}

TEST(CrossEntropy, ALabelBeyondTheClassesIsRefused) {
  EXPECT_THROW(cross_entropy(torch::zeros({1, 3}), torch::tensor({3L}), 1), Error);
}

}  // namespace
}  // namespace tessera

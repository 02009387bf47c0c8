#include "layers/performer.h"

#include <cmath>

#include "layers/promises.h"

namespace tessera {
namespace {

using testing::distance;

TEST(Performer, ItsDirectionsAreOrthogonalAndOfOneLength) {
  at::manual_seed(3);
  const Tensor w = orthogonal_directions(6, 16);
  EXPECT_EQ(w.sizes(), (std::vector<int64_t>{6, 16}));
  EXPECT_LT(distance(torch::matmul(w, w.t()), 6 * torch::eye(6)), 1e-4);
}

TEST(Performer, WithMoreFeaturesItComesNearerToSoftmaxAttention) {
  at::manual_seed(4);
  const Tensor q = 0.3 * torch::randn({1, 12, 8}), k = 0.3 * torch::randn({1, 12, 8}), v = torch::randn({1, 12, 8});
  const Tensor exact = torch::matmul(torch::softmax(torch::matmul(q, k.transpose(1, 2)), -1), v);
  std::vector<double> errors;
  for (const int64_t m : {16, 256, 4096}) {
    double error = 0;
    for (int64_t draw = 0; draw < 5; ++draw) {
      const Tensor w = torch::randn({m, 8});
      const Tensor near = linear_attention(positive_features(q, w), positive_features(k, w), v, 1e-8);
      error += (near - exact).norm().item<double>() / exact.norm().item<double>() / 5;
    }
    errors.push_back(error);
  }
  EXPECT_LT(errors[1], 0.7 * errors[0]);
  EXPECT_LT(errors[2], 0.7 * errors[1]);
}

TEST(Performer, IsAMeanOfTheValues) {
  at::manual_seed(5);
  const Tensor w = torch::randn({8, 4}), v = torch::full({2, 7, 4}, 3.0);
  const Tensor q = positive_features(torch::randn({2, 5, 4}), w), k = positive_features(torch::randn({2, 7, 4}), w);
  EXPECT_LT(distance(linear_attention(q, k, v, 0), torch::full({2, 5, 4}, 3.0)), 1e-4);
}

}  // namespace
}  // namespace tessera

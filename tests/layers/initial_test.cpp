#include "layers/initial.h"

#include <gtest/gtest.h>

#include "layers/linear.h"

namespace tessera {
namespace {

double deviation_of(int64_t in, int64_t out) {
  torch::manual_seed(2);
  return Linear(in, out).weight.std().item<double>();
}

TEST(GlorotLinears, NarrowLayersBeginLargerWhileItLives) {
  const double cut = 0.8796;  // what remains of the deviation of a normal distribution cut at two of them
  EXPECT_NEAR(deviation_of(64, 192), cut * 0.02, 1e-3);
  {
    const GlorotLinears initial;
    EXPECT_NEAR(deviation_of(64, 192), cut * std::sqrt(2.0 / 256), 2e-3);
    { const GlorotLinears within; }
    EXPECT_NEAR(deviation_of(16, 16), cut * 0.25, 2e-2);
  }
  EXPECT_NEAR(deviation_of(64, 192), cut * 0.02, 1e-3);
}

}  // namespace
}  // namespace tessera

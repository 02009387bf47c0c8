#pragma once
#include <gmock/gmock.h>

#include "encoders/encoder.h"
#include "layers/grid.h"
#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera::testing {

/// An encoder with drawn weights, in eval mode.
template <class T, class Options>
std::shared_ptr<T> drawn(const Options& options, double deviation = 0.2) {
  auto module = std::make_shared<T>(options);
  randomise(*module, deviation);
  for (auto& item : module->named_buffers())  // statistics of batch norms that are not those of a fresh one
    if (item.key().ends_with("running_var")) item.value().fill_(1.5);
  module->eval();
  return module;
}

inline Tensor pixels(int64_t height, int64_t width, int64_t batch = 2, int64_t seed = 11) {
  at::manual_seed(static_cast<uint64_t>(seed));
  return torch::randn({batch, 3, height, width});
}

/// Samples skip branches in training alone.
template <class T, class Options>
void expect_drop_path_off(Options options, int64_t height, int64_t width) {
  const torch::NoGradGuard no_grad;
  const Tensor picture = pixels(height, width), kept = drawn<T>(options)->forward(picture).x;
  options.drop_path = 0.9;
  EXPECT_TRUE(torch::equal(drawn<T>(options)->forward(picture).x, kept));
}

/// What every encoder of pictures promises: sizes of all kinds are read and laid out as layout() says, a sample does
/// not depend on its batch, and other channels are refused.
inline void expect_an_encoder(Encoder& encoder, const std::vector<std::pair<int64_t, int64_t>>& sizes) {
  const torch::NoGradGuard no_grad;
  for (const auto& [height, width] : sizes) {
    const Tokens tokens = encoder.forward(pixels(height, width));
    const auto layout = encoder.layout(height, width);
    EXPECT_EQ(tokens.grid, layout.grid) << height << " x " << width;
    EXPECT_EQ(tokens.prefix, layout.prefix);
    EXPECT_EQ(tokens.suffix, layout.suffix);
    EXPECT_EQ(tokens.body().size(1), layout.grid[0] * layout.grid[1]);
    EXPECT_EQ(tokens.x.size(2), encoder.width());
    EXPECT_TRUE(torch::isfinite(tokens.x).all().item<bool>()) << height << " x " << width;
  }
  const auto [height, width] = sizes.front();
  const Tensor picture = pixels(height, width, 3);
  EXPECT_LT(distance(encoder.forward(picture).x.narrow(0, 1, 1), encoder.forward(picture.narrow(0, 1, 1)).x), 1e-4);
  EXPECT_THAT(error_of([&] {
                encoder.forward(torch::zeros({1, 4, height, width}));
              }),
              ::testing::HasSubstr("B x 3 x H x W"));
}

}  // namespace tessera::testing

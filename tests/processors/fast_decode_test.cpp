#include "processors/fast_decode.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "processors/image_processor.h"
#include "processors/pipeline.h"

namespace tessera {
namespace {

using nlohmann::json;

/// The configurations of all rules by which a size is chosen.
std::vector<ImageProcessorOptions> all_rules(int64_t side) {
  std::vector<ImageProcessorOptions> all;
  for (const json& config :
       {json{{"image_processor_type", "CLIPImageProcessor"}, {"size", side}, {"crop_size", side}},
        json{{"image_processor_type", "ViTImageProcessor"}, {"size", {{"height", side}, {"width", side}}}},
        json{{"image_processor_type", "ConvNextImageProcessor"}, {"size", {{"shortest_edge", side}}}}})
    all.push_back(image_processor_options(config, "test"));
  ImageProcessorOptions square = all.front();  // LLaVA
  square.padding = PaddingRule::kSquare;
  all.push_back(square);
  ImageProcessorOptions tiled = all.front();  // LLaVA-NeXT
  tiled.grid = {{side, 2 * side}, {2 * side, side}, {2 * side, 2 * side}};
  all.push_back(tiled);
  return all;
}

std::string photo() {
  const std::string path = std::string(TESSERA_SOURCE_DIR) + "/tests/goldens/image-processing/clip/photo0.jpg";
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Image decoded(const ImageProcessorOptions& options, bool fast) {
  const std::string bytes = photo();
  use_fast_decoding(fast);
  const Image image = decode_for(options, Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), "photo");
  use_fast_decoding(false);
  return image;
}

TEST(FastDecoding, GivesEveryProcessorNearlyTheSamePixels) {
  for (const auto& options : all_rules(12)) {
    const Image whole = decoded(options, false), small = decoded(options, true);
    EXPECT_LT(small.height * small.width, whole.height * whole.width);
    const ImageProcessor processor(options);
    const torch::Tensor exact = processor(whole).pixel_values, fast = processor(small).pixel_values;
    ASSERT_EQ(fast.sizes(), exact.sizes());
    const torch::Tensor a = exact.flatten() - exact.mean(), b = fast.flatten() - fast.mean();
    EXPECT_GT((a.dot(b) / (a.norm() * b.norm())).item<double>(), 0.98);
  }
}

TEST(FastDecoding, NeverMakesAPictureSmallerThanItIsResizedTo) {
  auto rules = all_rules(24);
  rules.push_back(image_processor_options({{"image_processor_type", "ViltImageProcessor"}, {"size", 64}}, "test"));
  for (const auto& options : rules)
    for (const auto& [height, width] : {std::pair{480, 640}, {641, 479}, {100, 201}, {97, 64}}) {
      const auto needed = detail::needed_size(height, width, options);
      if (!options.grid.empty() || options.padding == PaddingRule::kSquare) continue;
      const auto target = detail::target_size(height, width, options);
      EXPECT_GE(needed.height, target.height);
      EXPECT_GE(needed.width, target.width);
    }
}

TEST(FastDecoding, IsExactWhereItIsNotAskedForAndWhereNothingIsResized) {
  ImageProcessorOptions options = all_rules(32).front();
  const std::string bytes = photo();
  const Image exact = decode_image(Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), "photo");
  EXPECT_EQ(decoded(options, false), exact);
  options.resize = false;
  const Image same_size = decoded(options, true);
  EXPECT_EQ(same_size.height, exact.height);
  EXPECT_EQ(same_size.width, exact.width);
}

}  // namespace
}  // namespace tessera

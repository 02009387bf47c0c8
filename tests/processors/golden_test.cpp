// The published image processors, against recorded runs of them.
#include <gtest/gtest.h>

#include <iostream>

#include "golden_file.h"
#include "processors/image_processor.h"

namespace tessera {
namespace {

class ImageProcessorGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(ImageProcessorGolden, GivesTheRecordedPixels) {
  const auto folder = testing::golden_folder(GetParam());
  if (folder.empty()) GTEST_SKIP() << "the golden " << GetParam() << " is not beside this checkout";
  const auto golden = testing::read_json(folder / "golden.json");
  const auto tensors = testing::read_tensors(folder / "cases.safetensors");
  const ImageProcessor processor = ImageProcessor::load((folder / "preprocessor_config.json").string());
  double worst = 0;
  for (const auto& entry : golden["cases"]) {
    SCOPED_TRACE(entry["name"].get<std::string>());
    const ImageBatch batch = processor(read_image(folder / entry["inputs"]["file"].get<std::string>()));
    for (const auto& [name, key] : entry["outputs"].items()) {
      const torch::Tensor want = tensors.at(key);
      const torch::Tensor got = name == "pixel_values" ? batch.pixel_values
                                : name == "pixel_mask" ? batch.pixel_mask
                                                       : batch.image_sizes;
      ASSERT_TRUE(got.defined()) << name;
      ASSERT_EQ(got.sizes(), want.sizes()) << name;
      const double error = (got - want).abs().max().item<double>();
      EXPECT_LE(error, name == "pixel_values" ? entry["atol"].get<double>() : 0) << name;
      worst = std::max(worst, error);
    }
  }
  RecordProperty("largest_error", std::to_string(worst));
  std::cout << GetParam() << ": largest error " << worst << '\n';
}

INSTANTIATE_TEST_SUITE_P(Published, ImageProcessorGolden,
                         ::testing::Values("blip", "clip", "convnext", "llava", "llava-next", "siglip", "vilt", "vit"),
                         [](const auto& run) {
                           std::string name = run.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace tessera

#include "processors/image_processor.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "golden_file.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using nlohmann::json;

Image gradient(int64_t height, int64_t width, int64_t channels = 3) {
  Image image(height, width, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 7 % 251);
  return image;
}

ImageProcessor processor(const json& config) { return ImageProcessor(image_processor_options(config, "test")); }

TEST(ImageProcessor, ABatchEqualsItsPicturesOneByOne) {
  const ImageProcessor clip =
      processor({{"image_processor_type", "CLIPImageProcessor"}, {"size", 32}, {"crop_size", 32}});
  std::vector<Image> images;
  for (int64_t i = 0; i < 9; ++i)
    images.push_back(gradient(40 + 7 * i, 90 - 5 * i, i % 3 == 0 ? 4 : i % 3 == 1 ? 1 : 3));
  const ImageBatch batch = clip(images);
  EXPECT_EQ(batch.pixel_values.sizes(), (std::vector<int64_t>{9, 3, 32, 32}));
  for (size_t i = 0; i < images.size(); ++i) {
    EXPECT_TRUE(batch.pixel_values[static_cast<int64_t>(i)].equal(clip(images[i]).pixel_values[0]));
    EXPECT_EQ(batch.image_sizes[static_cast<int64_t>(i)][1].item<int64_t>(), images[i].width);
  }
}

TEST(ImageProcessor, ViltPadsTheBatchWithZerosAndSaysWhere) {
  const ImageProcessor vilt = processor({{"image_processor_type", "ViltImageProcessor"}, {"size", 64}});
  const std::vector<Image> images = {gradient(64, 96), gradient(96, 64)};
  const ImageBatch batch = vilt(images);
  EXPECT_EQ(batch.pixel_values.sizes(), (std::vector<int64_t>{2, 3, 96, 96}));
  EXPECT_EQ(batch.pixel_mask.sum().item<int64_t>(), 2 * 64 * 96);
  const torch::Tensor padded = batch.pixel_values * (1 - batch.pixel_mask.unsqueeze(1));
  EXPECT_EQ(padded.abs().sum().item<float>(), 0);
  EXPECT_EQ(batch.pixel_mask[0][63][95].item<int64_t>(), 1);
  EXPECT_EQ(batch.pixel_mask[0][64][0].item<int64_t>(), 0);
}

TEST(ImageProcessor, Idefics2KeepsPicturesThatAreNeitherLongNorNarrow) {
  const ImageProcessor idefics2 = processor(
      {{"image_processor_type", "Idefics2ImageProcessor"}, {"size", {{"shortest_edge", 20}, {"longest_edge", 60}}}});
  const std::vector<std::array<int64_t, 4>> sizes = {{30, 50, 30, 50},  {60, 60, 60, 60},  {40, 80, 30, 60},
                                                     {120, 30, 60, 20}, {10, 300, 20, 60}, {7, 9, 20, 20}};
  std::vector<Image> images;
  for (const auto& [height, width, rows, columns] : sizes) images.push_back(gradient(height, width));
  const ImageBatch batch = idefics2(images);
  EXPECT_EQ(batch.pixel_values.sizes(), (std::vector<int64_t>{6, 3, 60, 60}));
  for (size_t i = 0; i < sizes.size(); ++i) {
    const torch::Tensor mask = batch.pixel_mask[static_cast<int64_t>(i)];
    EXPECT_EQ(mask.select(1, 0).sum().item<int64_t>(), sizes[i][2]) << i;
    EXPECT_EQ(mask.select(0, 0).sum().item<int64_t>(), sizes[i][3]) << i;
    EXPECT_EQ((batch.pixel_values[static_cast<int64_t>(i)] * (1 - mask)).abs().sum().item<float>(), 0) << i;
  }
}

TEST(ImageProcessor, Idefics2GivesTheQuartersOfAPictureAndThenItself) {
  json config = {{"image_processor_type", "Idefics2ImageProcessor"},
                 {"size", {{"shortest_edge", 4}, {"longest_edge", 60}}},
                 {"do_image_splitting", true}};
  const ImageBatch split = processor(config)(gradient(20, 31));
  config["do_image_splitting"] = false;
  const torch::Tensor whole = processor(config)(gradient(20, 31)).pixel_values[0];
  ASSERT_EQ(split.pixel_values.sizes(), (std::vector<int64_t>{1, 5, 3, 20, 31}));
  ASSERT_EQ(split.pixel_mask.sizes(), (std::vector<int64_t>{1, 5, 20, 31}));
  const torch::Tensor parts = split.pixel_values[0];
  EXPECT_TRUE(parts[4].equal(whole));
  EXPECT_TRUE(parts[0].narrow(1, 0, 10).narrow(2, 0, 15).equal(whole.narrow(1, 0, 10).narrow(2, 0, 15)));
  EXPECT_TRUE(parts[1].narrow(1, 0, 10).narrow(2, 0, 16).equal(whole.narrow(1, 0, 10).narrow(2, 15, 16)));
  EXPECT_TRUE(parts[2].narrow(1, 0, 10).narrow(2, 0, 15).equal(whole.narrow(1, 10, 10).narrow(2, 0, 15)));
  EXPECT_TRUE(parts[3].narrow(1, 0, 10).narrow(2, 0, 16).equal(whole.narrow(1, 10, 10).narrow(2, 15, 16)));
  EXPECT_EQ(split.pixel_mask[0][3].sum().item<int64_t>(), 10 * 16);
  EXPECT_THROW(processor({{"image_processor_type", "CLIPImageProcessor"}, {"do_image_splitting", true}}), Error);
}

TEST(ImageProcessor, LlavaNextPadsTheTilesOfTheBatch) {
  const ImageProcessor llava = processor({{"image_processor_type", "LlavaNextImageProcessor"},
                                          {"size", 16},
                                          {"crop_size", 16},
                                          {"image_grid_pinpoints", {{16, 32}, {32, 32}}}});
  const std::vector<Image> images = {gradient(16, 32), gradient(64, 64)};
  const ImageBatch batch = llava(images);
  EXPECT_EQ(batch.pixel_values.sizes(), (std::vector<int64_t>{2, 5, 3, 16, 16}));
  EXPECT_EQ(batch.tiles, (std::vector<int64_t>{3, 5}));
  EXPECT_EQ(batch.pixel_values[0].slice(0, 3).abs().sum().item<float>(), 0);
}

TEST(ImageProcessor, LlavaNextScalesUpTheSmallTilesAtTheEdgeOfItsCanvas) {
  const ImageProcessor llava = processor({{"image_processor_type", "LlavaNextImageProcessor"},
                                          {"size", 16},
                                          {"crop_size", 16},
                                          {"image_grid_pinpoints", {{24, 24}}}});
  EXPECT_EQ(llava(gradient(24, 24)).tiles, (std::vector<int64_t>{5}));
}

TEST(ImageProcessor, WithoutResizingPicturesMustAgreeInSize) {
  const ImageProcessor vit = processor({{"image_processor_type", "ViTImageProcessor"}, {"do_resize", false}});
  EXPECT_EQ(vit(gradient(5, 6)).pixel_values.size(3), 6);
  const std::vector<Image> images = {gradient(5, 6), gradient(6, 5)};
  EXPECT_THROW(vit(images), Error);
  EXPECT_THROW(vit(std::span<const Image>()), Error);
  EXPECT_THROW(vit(Image()), Error);
}

TEST(ImageProcessor, RescalingAndNormalisingCanBeTurnedOff) {
  json config = {{"image_processor_type", "ViTImageProcessor"}, {"do_resize", false}, {"do_normalize", false}};
  const Image image = gradient(3, 3);
  EXPECT_NEAR(processor(config)(image).pixel_values[0][1][0][0].item<float>(), 7.0 / 255, 1e-6);
  config["do_rescale"] = false;
  EXPECT_EQ(processor(config)(image).pixel_values[0][1][0][0].item<float>(), 7);
}

TEST(ImageProcessor, AThreadOfAPictureIsRefusedBeforeItIsBlownUp) {
  const ImageProcessor clip =
      processor({{"image_processor_type", "CLIPImageProcessor"}, {"size", 4096}, {"crop_size", 4096}});
  EXPECT_THROW(clip(gradient(1, 100000)), Error);
}

TEST(ImageProcessor, LoadsFromTheFileOrItsFolder) {
  const testing::Scratch scratch;
  const std::filesystem::path& folder = scratch.path();
  EXPECT_THROW(ImageProcessor::load(folder), Error);
  std::ofstream(folder / "config.json") << R"({"architecture": "vit", "pretrained_cfg": {"input_size": [3, 32, 32]}})";
  EXPECT_EQ(ImageProcessor::load(folder).options().kind, "timm");
  std::ofstream(folder / "preprocessor_config.json") << R"({"image_processor_type": "ViTImageProcessor"})";
  EXPECT_EQ(ImageProcessor::load(folder).options().kind, "ViT");
  std::ofstream(folder / "preprocessor_config.json") << "{";
  EXPECT_THROW(ImageProcessor::load(folder), Error);
}

// The slow processors of the same models resample with PIL's precision; the recorded pixels cannot tell them apart.
TEST(ImageProcessor, PilArithmeticIsWithinTheGoldensTolerance) {
  for (const char* kind : {"clip", "vit", "llava-next"}) {
    const auto folder = testing::golden_folder(kind);
    if (folder.empty()) GTEST_SKIP() << "the golden " << kind << " is not beside this checkout";
    ImageProcessorOptions options = ImageProcessor::load(folder).options();
    options.arithmetic = Arithmetic::kPil;
    const Image image = read_image(folder / "picture0.png");
    const torch::Tensor want = testing::read_tensors(folder / "cases.safetensors").at("picture0/out/pixel_values");
    const torch::Tensor error = (ImageProcessor(options)(image).pixel_values - want).abs();
    EXPECT_LE(error.max().item<float>(), 0.02) << kind;
    std::cout << kind << " with PIL's precision: largest error " << error.max().item<float>() << '\n';
  }
}

}  // namespace
}  // namespace tessera

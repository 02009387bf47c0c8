// Configurations as they are published, old and new, and what they mean.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "processors/options.h"
#include "processors/pipeline.h"

namespace tessera {
namespace {

using nlohmann::json;

ImageProcessorOptions options_of(const json& config) { return image_processor_options(config, "test"); }

std::string message_of(const json& config) {
  try {
    image_processor_options(config, "preprocessor_config.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ImageProcessorOptions, TheClassNameComesWithAnySuffix) {
  for (const char* name :
       {"CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPFeatureExtractor", "CLIPImageProcessorPil"}) {
    EXPECT_EQ(options_of({{"image_processor_type", name}}).kind, "CLIP") << name;
    EXPECT_EQ(options_of({{"feature_extractor_type", name}}).kind, "CLIP") << name;
  }
  EXPECT_EQ(options_of({{"processor_class", "ViltProcessor"}}).kind, "Vilt");
  EXPECT_EQ(options_of({{"image_processor", {{"image_processor_type", "LlavaNextImageProcessorFast"}}}}).kind,
            "LlavaNext");
}

TEST(ImageProcessorOptions, TheDefaultsAreThoseOfTheKind) {
  const ImageProcessorOptions clip = options_of({{"image_processor_type", "CLIPImageProcessor"}});
  EXPECT_EQ(clip.size_rule, SizeRule::kShortestEdge);
  EXPECT_EQ(clip.shortest_edge, 224);
  EXPECT_TRUE(clip.crop);
  EXPECT_DOUBLE_EQ(clip.mean[0], 0.48145466);
  const ImageProcessorOptions vit = options_of({{"image_processor_type", "ViTImageProcessor"}});
  EXPECT_EQ(vit.size_rule, SizeRule::kExact);
  EXPECT_EQ(vit.filter, Filter::kBilinear);
  EXPECT_DOUBLE_EQ(vit.mean[2], 0.5);
  EXPECT_EQ(options_of({{"image_processor_type", "DeiTImageProcessor"}}).crop_height, 224);
  EXPECT_EQ(options_of({{"image_processor_type", "BlipImageProcessor"}}).height, 384);
  EXPECT_EQ(options_of({{"feature_extractor_type", "ConvNextFeatureExtractor"}}).crop_pct, 0.875);
  EXPECT_EQ(options_of({{"feature_extractor_type", "ViltFeatureExtractor"}}).size_divisor, 32);
  EXPECT_EQ(options_of({{"image_processor_type", "LlavaNextImageProcessor"}}).grid.size(), 5u);
}

TEST(ImageProcessorOptions, OldFilesWithNumbersForSizesAreRead) {
  const ImageProcessorOptions clip = options_of(
      {{"feature_extractor_type", "CLIPFeatureExtractor"}, {"size", 336}, {"crop_size", 336}, {"resample", 3}});
  EXPECT_EQ(clip.size_rule, SizeRule::kShortestEdge);
  EXPECT_EQ(clip.shortest_edge, 336);
  EXPECT_EQ(clip.crop_width, 336);
  const ImageProcessorOptions vit =
      options_of({{"feature_extractor_type", "ViTFeatureExtractor"}, {"size", 384}, {"resample", 2}});
  EXPECT_EQ(vit.size_rule, SizeRule::kExact);
  EXPECT_EQ(vit.width, 384);
  const ImageProcessorOptions vilt =
      options_of({{"feature_extractor_type", "ViltFeatureExtractor"}, {"size", 384}, {"size_divisor", 32}});
  EXPECT_EQ(vilt.size_rule, SizeRule::kDivisible);
}

TEST(ImageProcessorOptions, HarmlessAndNullKeysAreAcceptedAndOthersNamed) {
  EXPECT_NO_THROW(
      options_of({{"image_processor_type", "ViTImageProcessor"}, {"return_tensors", "pt"}, {"anything", nullptr}}));
  EXPECT_EQ(
      message_of({{"image_processor_type", "ViTImageProcessor"}, {"do_flip", true}}),
      "preprocessor_config.json: do_flip: the key is not known for a ViT image processor; remove it if it is harmless");
}

TEST(ImageProcessorOptions, ValuesThatMakeNoSenseAreRefused) {
  const auto refused = [](const char* kind, const json& more) {
    json config = more;
    config["image_processor_type"] = std::string(kind) + "ImageProcessor";
    return message_of(config) != "no error";
  };
  EXPECT_TRUE(refused("CLIP", {{"size", 0}}));
  EXPECT_TRUE(refused("CLIP", {{"size", "large"}}));
  EXPECT_TRUE(refused("CLIP", {{"size", {{"longest_edge", 3}}}}));
  EXPECT_TRUE(refused("CLIP", {{"size", {{"shortest_edge", 3}, {"widest_edge", 3}}}}));
  EXPECT_TRUE(refused("CLIP", {{"resample", 9}}));
  EXPECT_TRUE(refused("CLIP", {{"image_std", {0.5, 0, 0.5}}}));
  EXPECT_TRUE(refused("CLIP", {{"image_mean", {0.5, 0.5}}}));
  EXPECT_TRUE(refused("CLIP", {{"do_resize", 1}}));
  EXPECT_TRUE(refused("CLIP", {{"do_pad", true}}));
  EXPECT_TRUE(refused("CLIP", {{"crop_pct", 0.9}}));
  EXPECT_TRUE(refused("ConvNext", {{"crop_pct", 0}}));
  EXPECT_TRUE(refused("ConvNext", {{"size", {{"height", 3}, {"width", 3}}}}));
  EXPECT_TRUE(refused("LlavaNext", {{"image_grid_pinpoints", {{300}}}}));
  EXPECT_TRUE(refused("LlavaNext", {{"image_grid_pinpoints", json::array()}}));
  EXPECT_TRUE(refused("Unheard", {}));
  EXPECT_NE(message_of({{"size", 224}}), "no error");
  EXPECT_NE(message_of(json::array()), "no error");
}

TEST(ImageProcessorOptions, WhatIsSavedReadsBackTheSame) {
  for (const char* kind : {"CLIP", "Siglip", "ViT", "DeiT", "Blip", "ConvNext", "Vilt", "Llava", "LlavaNext"}) {
    const ImageProcessorOptions options = options_of({{"image_processor_type", std::string(kind) + "ImageProcessor"}});
    const json saved = to_json(options);
    EXPECT_EQ(to_json(options_of(saved)), saved) << kind;
  }
  const json timm = {{"input_size", {3, 240, 240}}, {"crop_pct", 0.95}, {"interpolation", "bicubic"}};
  EXPECT_EQ(to_json(timm_options(to_json(timm_options(timm)))), to_json(timm_options(timm)));
  const json open_clip = {{"preprocess_cfg", {{"size", 256}, {"resize_mode", "squash"}}}};
  EXPECT_EQ(to_json(open_clip_options(to_json(open_clip_options(open_clip)))), to_json(open_clip_options(open_clip)));
}

TEST(ImageProcessorOptions, TimmScalesByTheCropPercentage) {
  const ImageProcessorOptions options = timm_options({{"pretrained_cfg",
                                                       {{"input_size", {3, 224, 224}},
                                                        {"crop_pct", 0.9},
                                                        {"interpolation", "bicubic"},
                                                        {"mean", {0.5, 0.5, 0.5}},
                                                        {"classifier", "head"},
                                                        {"url", ""}}}});
  EXPECT_EQ(options.shortest_edge, 248);
  EXPECT_EQ(options.crop_height, 224);
  EXPECT_EQ(options.arithmetic, Arithmetic::kPil);
  EXPECT_DOUBLE_EQ(options.std[0], 0.229);
  EXPECT_THROW(timm_options({{"input_size", {1, 224, 224}}}), Error);
  EXPECT_THROW(timm_options({{"interpolation", "magic"}}), Error);
  EXPECT_THROW(timm_options({{"crop_mode", "border"}}), Error);
  EXPECT_THROW(timm_options({{"unheard", 1}}), Error);
}

TEST(ImageProcessorOptions, OpenClipTakesItsSizeFromTheModelWhereThePreprocessingHasNone) {
  const ImageProcessorOptions options =
      open_clip_options({{"model_cfg", {{"vision_cfg", {{"image_size", 240}}}}},
                         {"preprocess_cfg", {{"mean", {0.1, 0.2, 0.3}}, {"std", {1, 1, 1}}}}});
  EXPECT_EQ(options.shortest_edge, 240);
  EXPECT_EQ(options.crop_width, 240);
  EXPECT_DOUBLE_EQ(options.mean[1], 0.2);
  EXPECT_THROW(open_clip_options({{"preprocess_cfg", {{"resize_mode", "zoom"}}}}), Error);
  EXPECT_THROW(open_clip_options(json::object()), Error);
}

using detail::target_size;

TEST(ImageSize, TheLongerSideIsRoundedDown) {
  ImageProcessorOptions options;
  options.size_rule = SizeRule::kShortestEdge;
  options.shortest_edge = 48;
  EXPECT_EQ(target_size(70, 50, options).height, 67);
  options.longest_edge = 60;
  EXPECT_EQ(target_size(100, 50, options).height, 60);
  EXPECT_EQ(target_size(100, 50, options).width, 30);
}

TEST(ImageSize, ViltBoundsTheAspectAndDividesDown) {
  const ImageProcessorOptions options = options_of({{"image_processor_type", "ViltImageProcessor"}});
  EXPECT_EQ(target_size(480, 640, options).height, 384);
  EXPECT_EQ(target_size(480, 640, options).width, 512);
  EXPECT_EQ(target_size(200, 2000, options).width, 608);
  EXPECT_THROW(target_size(10, 5000, options), Error);
}

TEST(ImageSize, TheCanvasKeepsMostAndWastesLeast) {
  const std::vector<std::array<int64_t, 2>> grid = {{336, 672}, {672, 336}, {672, 672}};
  EXPECT_EQ(detail::best_canvas(300, 600, grid).width, 672);
  EXPECT_EQ(detail::best_canvas(300, 600, grid).height, 336);
  EXPECT_EQ(detail::best_canvas(2000, 2000, grid).height, 672);
  EXPECT_EQ(detail::best_canvas(600, 300, grid).width, 336);
}

}  // namespace
}  // namespace tessera

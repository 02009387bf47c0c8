#include "processors/kinds.h"

namespace tessera {
namespace {

constexpr std::array<double, 3> kClipMean{0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kClipStd{0.26862954, 0.26130258, 0.27577711};

ImageProcessorOptions shortest(int64_t side, Filter filter) {
  ImageProcessorOptions options;
  options.size_rule = SizeRule::kShortestEdge;
  options.shortest_edge = side;
  options.filter = filter;
  return options;
}

ImageProcessorOptions exact(int64_t side, Filter filter) {
  ImageProcessorOptions options;
  options.height = options.width = side;
  options.filter = filter;
  return options;
}

ImageProcessorOptions cropped(ImageProcessorOptions options, int64_t side) {
  options.crop = true;
  options.crop_height = options.crop_width = side;
  return options;
}

ImageProcessorOptions clip_colours(ImageProcessorOptions options) {
  options.mean = kClipMean;
  options.std = kClipStd;
  return options;
}

ImageProcessorOptions convnext() {
  ImageProcessorOptions options = shortest(384, Filter::kBilinear);
  options.size_rule = SizeRule::kCropPercent;
  options.crop_pct = 224.0 / 256;
  return options;
}

ImageProcessorOptions vilt() {
  ImageProcessorOptions options = shortest(384, Filter::kBicubic);
  options.size_rule = SizeRule::kDivisible;
  options.size_divisor = 32;
  options.padding = PaddingRule::kBatch;
  return options;
}

ImageProcessorOptions idefics2() {
  ImageProcessorOptions options = shortest(378, Filter::kBilinear);
  options.size_rule = SizeRule::kBetween;
  options.longest_edge = 980;
  options.padding = PaddingRule::kBatch;
  return options;
}

ImageProcessorOptions llava_next() {
  ImageProcessorOptions options = clip_colours(cropped(shortest(224, Filter::kBicubic), 224));
  options.padding = PaddingRule::kTiles;
  options.grid = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  return options;
}

}  // namespace

namespace detail {

const std::map<std::string, ImageProcessorOptions>& published_kinds() {
  static const std::map<std::string, ImageProcessorOptions> kKinds = {
      {"CLIP", clip_colours(cropped(shortest(224, Filter::kBicubic), 224))},
      {"Siglip", exact(224, Filter::kBicubic)},
      {"ViT", exact(224, Filter::kBilinear)},
      {"DeiT", cropped(exact(256, Filter::kBicubic), 224)},
      {"Blip", clip_colours(exact(384, Filter::kBicubic))},
      {"ConvNext", convnext()},
      {"Vilt", vilt()},
      {"Llava", clip_colours(cropped(shortest(224, Filter::kBicubic), 224))},
      {"LlavaNext", llava_next()},
      {"Idefics2", idefics2()},
  };
  return kKinds;
}

}  // namespace detail

}  // namespace tessera

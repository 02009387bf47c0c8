#pragma once
#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "io/resize.h"
#include "io/transform.h"

namespace tessera {

/// How the size of a picture is chosen.
enum class SizeRule {
  kExact,         ///< height x width, aspect not kept
  kShortestEdge,  ///< the shorter side gets `shortest_edge`, and the longer at most `longest_edge` (0: any)
  kFit,           ///< the largest that fits height x width (open_clip's "longest")
  kCropPercent,   ///< ConvNeXt: below 384 shortest_edge / crop_pct and then the middle; from 384 on a square
  kBetween,    ///< Idefics2: only the longer side is bounded by `longest_edge`, then each is at least `shortest_edge`
  kDivisible,  ///< ViLT: shortest edge, at most 1333 / 800 of it long, both rounded down to `size_divisor`
};

/// What is done with pictures of different size.
enum class PaddingRule {
  kNone,    ///< all must come out with the same size
  kSquare,  ///< LLaVA: before resizing, to a square in the mean colour
  kBatch,   ///< ViLT, Idefics2: after normalising, with zeros on the right and below, and a mask
  kTiles,   ///< LLaVA-NeXT: pictures with fewer tiles get tiles of zeros
};

/// Which kind of file the options came from, and `to_json` gives back.
enum class ProcessorFormat { kTransformers, kTimm, kOpenClip };

/// Everything that an image processor of the supported families does, in the order in which it is done:
/// convert to RGB, pad to a square, resize, crop the middle, rescale, normalise, pad the batch.
struct ImageProcessorOptions {
  ProcessorFormat format = ProcessorFormat::kTransformers;
  std::string kind;         ///< "CLIP", "Siglip", ...: the published class without its suffix
  bool convert_rgb = true;  ///< as published; the models take three channels, so that it is done in any case

  bool resize = true;
  SizeRule size_rule = SizeRule::kExact;
  int64_t height = 0, width = 0;
  int64_t shortest_edge = 0, longest_edge = 0;
  double crop_pct = 0;
  int64_t size_divisor = 0;
  Filter filter = Filter::kBicubic;
  Arithmetic arithmetic = Arithmetic::kAten;

  bool crop = false;
  int64_t crop_height = 0, crop_width = 0;
  Centre centre = Centre::kDown;
  Colour fill{};  ///< around a picture that is smaller than the crop

  bool rescale = true;
  double rescale_factor = 1.0 / 255;
  bool normalize = true;
  std::array<double, 3> mean{0.5, 0.5, 0.5}, std{0.5, 0.5, 0.5};

  PaddingRule padding = PaddingRule::kNone;
  bool quarters = false;                     ///< Idefics2: each picture is its four quarters and then itself
  std::vector<std::array<int64_t, 2>> grid;  ///< LLaVA-NeXT: the canvas sizes to choose from, height and width
};

/// Reads a published `preprocessor_config.json` (also the "image_processor" part of a `processor_config.json`) of CLIP,
/// SigLIP, ViT, DeiT, BLIP, ConvNeXt, ViLT, LLaVA or LLaVA-NeXT; what it leaves out is the published default.
/// Keys without effect on the pixels are accepted (see `kHarmless` in options.cpp), as is any key that is null.
/// @throws Error for any other unknown key, and for values that make no sense
ImageProcessorOptions image_processor_options(const nlohmann::json& config, const std::string& where = "");

/// Reads timm's `pretrained_cfg` (or a config.json that holds one): its evaluation transform. @throws Error
ImageProcessorOptions timm_options(const nlohmann::json& config, const std::string& where = "");

/// Reads open_clip's `open_clip_config.json`: its evaluation transform. @throws Error
ImageProcessorOptions open_clip_options(const nlohmann::json& config, const std::string& where = "");

/// The file that gives these options back, in the format they came from.
nlohmann::json to_json(const ImageProcessorOptions& options);

namespace detail {
/// A size or a list of means in the forms that the files hold; the key is named in the error.
struct Sides {
  int64_t height, width;
};
Sides sides_of(const nlohmann::json& value, const std::string& where);
std::array<double, 3> triple_of(const nlohmann::json& value, const std::string& where);
Filter filter_from(const nlohmann::json& value, const std::string& where);
/// @throws Error where sizes, factors or deviations are not positive
void check_options(const ImageProcessorOptions& options, const std::string& where);
}  // namespace detail

}  // namespace tessera

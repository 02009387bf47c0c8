// The configurations of timm and open_clip, which transform with torchvision on PIL pictures.
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "processors/options.h"

namespace tessera {
namespace {

using nlohmann::json;

// Where a file leaves them out: timm's constants, and OpenAI's for open_clip.
constexpr std::array<double, 3> kImageNetMean{0.485, 0.456, 0.406};
constexpr std::array<double, 3> kImageNetStd{0.229, 0.224, 0.225};
constexpr std::array<double, 3> kClipMean{0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kClipStd{0.26862954, 0.26130258, 0.27577711};

// Keys of a pretrained_cfg that say where the weights are and what the head is, or that concern training.
const std::set<std::string> kTimmHarmless = {
    "architecture",
    "num_classes",
    "num_features",
    "global_pool",
    "pool_size",
    "classifier",
    "first_conv",
    "license",
    "tag",
    "custom_load",
    "url",
    "file",
    "hf_hub_id",
    "hf_hub_filename",
    "source",
    "min_input_size",
    "test_input_size",
    "test_crop_pct",
    "origin_url",
    "paper_name",
    "paper_ids",
    "notes",
    "fixed_input_size",
    "label_names",
    "label_descriptions",
    "custom_load",
    "pretrained",
    "state_dict",
    "num_classes_pretrained",
};

const json* find(const json& config, const char* key) {
  const auto entry = config.find(key);
  return entry == config.end() || entry->is_null() ? nullptr : &*entry;
}

std::string word(const json& config, const char* key, const char* otherwise, const std::string& where) {
  const json* value = find(config, key);
  if (value == nullptr) return otherwise;
  if (!value->is_string()) throw Error("expected a word, got " + value->dump(), where + ": " + key);
  return *value;
}

ImageProcessorOptions torchvision_options(ProcessorFormat format, const std::string& kind) {
  ImageProcessorOptions options;
  options.format = format;
  options.kind = kind;
  options.arithmetic = Arithmetic::kPil;
  options.centre = Centre::kEven;
  return options;
}

void read_colours(const json& config, ImageProcessorOptions& options, const std::string& where) {
  if (const json* mean = find(config, "mean")) options.mean = detail::triple_of(*mean, where + ": mean");
  if (const json* std = find(config, "std")) options.std = detail::triple_of(*std, where + ": std");
}

void check_keys(const json& config, const std::set<std::string>& known, const std::set<std::string>& harmless,
                const std::string& where) {
  for (const auto& [key, value] : config.items()) {
    if (!value.is_null() && !known.contains(key) && !harmless.contains(key)) {
      throw Error("the key is not known", where + ": " + key, "remove it if it is harmless");
    }
  }
}

void set_crop(ImageProcessorOptions& options, detail::Sides sides) {
  options.crop = true;
  options.crop_height = sides.height;
  options.crop_width = sides.width;
}

detail::Sides input_sides(const json& config, const std::string& where) {
  const json* size = find(config, "input_size");
  if (size == nullptr) return {224, 224};
  if (!size->is_array() || size->size() != 3 || (*size)[0] != 3) {
    throw Error("expected [3, height, width], got " + size->dump(), where + ": input_size");
  }
  return detail::sides_of(json::array({(*size)[1], (*size)[2]}), where + ": input_size");
}

}  // namespace

ImageProcessorOptions timm_options(const json& config, const std::string& where) {
  if (const json* inner = find(config, "pretrained_cfg")) return timm_options(*inner, where + ": pretrained_cfg");
  if (!config.is_object()) throw Error("expected a JSON object", where, "give timm's config.json");
  check_keys(config, {"input_size", "crop_pct", "crop_mode", "interpolation", "mean", "std"}, kTimmHarmless, where);
  ImageProcessorOptions options = torchvision_options(ProcessorFormat::kTimm, "timm");
  options.mean = kImageNetMean;
  options.std = kImageNetStd;
  read_colours(config, options, where);
  options.filter = detail::filter_from(word(config, "interpolation", "bilinear", where), where + ": interpolation");
  const detail::Sides sides = input_sides(config, where);
  set_crop(options, sides);
  const json* percent = find(config, "crop_pct");
  options.crop_pct = percent == nullptr ? 0.875 : percent->is_number() ? percent->get<double>() : 0;
  if (options.crop_pct <= 0) throw Error("crop_pct must be a number above 0", where + ": crop_pct");
  const auto scaled = [&](int64_t side) {
    return static_cast<int64_t>(std::floor(static_cast<double>(side) / options.crop_pct));
  };
  const std::string mode = word(config, "crop_mode", "center", where);
  if (mode == "squash") {
    options.height = scaled(sides.height), options.width = scaled(sides.width);
  } else if (mode == "center" && sides.height == sides.width) {
    options.size_rule = SizeRule::kShortestEdge;
    options.shortest_edge = scaled(sides.height);
  } else {
    throw Error("the crop mode '" + mode + "' is not supported for this input_size", where + ": crop_mode",
                "supported are center for square inputs, and squash");
  }
  detail::check_options(options, where);
  return options;
}

ImageProcessorOptions open_clip_options(const json& config, const std::string& where) {
  const json* preprocess = find(config, "preprocess_cfg");
  if (preprocess == nullptr || !preprocess->is_object()) {
    throw Error("preprocess_cfg is missing", where, "give an open_clip_config.json");
  }
  const std::string place = where + ": preprocess_cfg";
  check_keys(*preprocess, {"size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color"}, {}, place);
  if (word(*preprocess, "mode", "RGB", place) != "RGB") throw Error("only RGB is supported", place + ": mode");
  ImageProcessorOptions options = torchvision_options(ProcessorFormat::kOpenClip, "open_clip");
  options.mean = kClipMean;
  options.std = kClipStd;
  read_colours(*preprocess, options, place);
  options.filter = detail::filter_from(word(*preprocess, "interpolation", "bicubic", place), place + ": interpolation");
  if (const json* fill = find(*preprocess, "fill_color")) {
    if (!fill->is_number_unsigned() || *fill > 255) throw Error("expected 0 to 255", place + ": fill_color");
    options.fill.fill(fill->get<uint8_t>());
  }
  const json* size = find(*preprocess, "size");
  const json vision = config.value("/model_cfg/vision_cfg/image_size"_json_pointer, json(224));
  const detail::Sides sides = detail::sides_of(size != nullptr ? *size : vision, place + ": size");
  const std::string mode = word(*preprocess, "resize_mode", "shortest", place);
  options.height = sides.height, options.width = sides.width;
  if (mode == "longest") options.size_rule = SizeRule::kFit;
  if (mode == "shortest") {
    if (sides.height != sides.width) throw Error("shortest needs a square size", place + ": resize_mode", "use squash");
    options.size_rule = SizeRule::kShortestEdge;
    options.shortest_edge = sides.height;
  }
  if (mode != "squash") set_crop(options, sides);
  if (mode != "squash" && mode != "shortest" && mode != "longest") {
    throw Error("'" + mode + "' is not known", place + ": resize_mode", "use shortest, longest or squash");
  }
  detail::check_options(options, place);
  return options;
}

namespace detail {

json timm_json(const ImageProcessorOptions& options) {
  return {{"pretrained_cfg",
           {{"input_size", {3, options.crop_height, options.crop_width}},
            {"crop_pct", options.crop_pct},
            {"crop_mode", options.size_rule == SizeRule::kExact ? "squash" : "center"},
            {"interpolation", filter_name(options.filter)},
            {"mean", options.mean},
            {"std", options.std}}}};
}

json open_clip_json(const ImageProcessorOptions& options) {
  const char* mode = options.size_rule == SizeRule::kExact          ? "squash"
                     : options.size_rule == SizeRule::kShortestEdge ? "shortest"
                                                                    : "longest";
  return {{"preprocess_cfg",
           {{"size", {options.height, options.width}},
            {"mode", "RGB"},
            {"mean", options.mean},
            {"std", options.std},
            {"interpolation", filter_name(options.filter)},
            {"resize_mode", mode},
            {"fill_color", options.fill[0]}}}};
}

}  // namespace detail

}  // namespace tessera

#include "processors/options.h"

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "processors/kinds.h"

namespace tessera {
namespace {

using nlohmann::json;

constexpr int64_t kMaxSide = 1 << 20;

// Keys that do not change the pixels: who reads the file, how arrays are handed over, on which device.
const std::set<std::string> kHarmless = {
    "image_processor_type",
    "feature_extractor_type",
    "processor_class",
    "auto_map",
    "_processor_class",
    "return_tensors",
    "_valid_processor_keys",
    "valid_processor_keys",
    "data_format",
    "input_data_format",
    "device",
    "disable_grouping",
    "model_input_names",
    "image_seq_length",
    "image_seq_len",
    "default_to_square",
    "_image_processor_backend",
    "transformers_version",
    "backend",
};

std::string kind_of(const json& config, const std::string& where) {
  std::string name;
  for (const char* key : {"image_processor_type", "feature_extractor_type", "processor_class"}) {
    if (config.contains(key) && config[key].is_string()) {
      name = config[key];
      break;
    }
  }
  if (name.empty()) throw Error("image_processor_type is missing", where, "add the class name of the image processor");
  std::string kind = name;
  for (const std::string suffix : {"Fast", "Pil", "ImageProcessor", "FeatureExtractor", "Processor"}) {
    if (kind.size() > suffix.size() && kind.ends_with(suffix)) kind.resize(kind.size() - suffix.size());
  }
  if (kind == "ConvNeXT") kind = "ConvNext";
  if (!detail::published_kinds().contains(kind)) {
    throw Error("the image processor '" + name + "' is not known", where,
                "known are those of CLIP, SigLIP, ViT, DeiT, BLIP, ConvNeXt, ViLT, LLaVA, LLaVA-NeXT and Idefics2");
  }
  return kind;
}

int64_t side_of(const json& value, const std::string& where) {
  if (!value.is_number_integer() || value.get<int64_t>() < 1 || value.get<int64_t>() > kMaxSide) {
    throw Error("expected a positive whole number of pixels, got " + value.dump(), where);
  }
  return value.get<int64_t>();
}

double number_of(const json& value, const std::string& where) {
  if (!value.is_number()) throw Error("expected a number, got " + value.dump(), where);
  return value.get<double>();
}

bool bool_of(const json& value, const std::string& where) {
  if (!value.is_boolean()) throw Error("expected true or false, got " + value.dump(), where);
  return value.get<bool>();
}

// What a family's own rule does with the shortest edge stays; between "exact" and "shortest edge" the file decides.
void set_shortest(ImageProcessorOptions& options, int64_t side) {
  options.shortest_edge = side;
  if (options.size_rule == SizeRule::kExact) options.size_rule = SizeRule::kShortestEdge;
}

void set_exact(ImageProcessorOptions& options, int64_t height, int64_t width, const std::string& where) {
  if (options.size_rule == SizeRule::kCropPercent || options.size_rule == SizeRule::kDivisible ||
      options.size_rule == SizeRule::kBetween) {
    throw Error("this kind of processor needs a shortest edge", where, "write {\"shortest_edge\": ...}");
  }
  options.size_rule = SizeRule::kExact;
  options.height = height;
  options.width = width;
}

void read_size(const json& size, const json& config, ImageProcessorOptions& options, const std::string& where) {
  if (size.is_number()) {  // before transformers 4.22: the shortest edge, or a square, as the class had it
    const bool square = config.value("default_to_square", options.size_rule == SizeRule::kExact);
    if (square) return set_exact(options, side_of(size, where), side_of(size, where), where);
    return set_shortest(options, side_of(size, where));
  }
  if (size.is_array() && size.size() == 2) {
    return set_exact(options, side_of(size[0], where), side_of(size[1], where), where);
  }
  if (!size.is_object()) throw Error("expected a size, got " + size.dump(), where);
  for (const auto& [key, value] : size.items()) {
    static const std::set<std::string> kKnown = {"height", "width", "shortest_edge", "longest_edge"};
    if (!value.is_null() && !kKnown.contains(key)) throw Error("the size '" + key + "' is not known", where);
  }
  const auto given = [&](const char* key) { return size.contains(key) && !size[key].is_null(); };
  if (given("shortest_edge")) {
    set_shortest(options, side_of(size["shortest_edge"], where));
    if (given("longest_edge")) options.longest_edge = side_of(size["longest_edge"], where);
  } else if (given("height") && given("width")) {
    set_exact(options, side_of(size["height"], where), side_of(size["width"], where), where);
  } else {
    throw Error("the size needs a shortest_edge, or a height and a width", where);
  }
}

void read_pad(const json& value, ImageProcessorOptions& options, const std::string& where) {
  static const std::map<std::string, PaddingRule> kPads = {{"Vilt", PaddingRule::kBatch},
                                                           {"Idefics2", PaddingRule::kBatch},
                                                           {"Llava", PaddingRule::kSquare},
                                                           {"LlavaNext", PaddingRule::kTiles}};
  options.padding = PaddingRule::kNone;
  if (!bool_of(value, where)) return;
  const auto pad = kPads.find(options.kind);
  if (pad == kPads.end()) throw Error(options.kind + " image processors do not pad", where, "set it to false");
  options.padding = pad->second;
}

void read_grid(const json& value, ImageProcessorOptions& options, const std::string& where) {
  if (options.kind != "LlavaNext") throw Error("only LLaVA-NeXT cuts pictures into tiles", where, "remove it");
  options.grid.clear();
  for (const json& entry : value) {
    if (!entry.is_array() || entry.size() != 2) throw Error("expected pairs of height and width", where);
    options.grid.push_back({side_of(entry[0], where), side_of(entry[1], where)});
  }
  if (options.grid.empty()) throw Error("at least one canvas size is needed", where);
}

using Reader = std::function<void(const json&, ImageProcessorOptions&, const std::string&)>;

Reader flag(bool ImageProcessorOptions::*field) {
  return [field](const json& v, ImageProcessorOptions& o, const std::string& where) { o.*field = bool_of(v, where); };
}

const std::map<std::string, Reader>& readers() {
  using Options = ImageProcessorOptions;
  using Where = const std::string&;
  static const std::map<std::string, Reader> kReaders = {
      {"do_convert_rgb", flag(&Options::convert_rgb)},
      {"do_resize", flag(&Options::resize)},
      {"do_center_crop", flag(&Options::crop)},
      {"do_rescale", flag(&Options::rescale)},
      {"do_normalize", flag(&Options::normalize)},
      {"resample", [](const json& v, Options& o, Where w) { o.filter = detail::filter_from(v, w); }},
      {"crop_size",
       [](const json& v, Options& o, Where w) {
         const detail::Sides sides = detail::sides_of(v, w);
         o.crop_height = sides.height, o.crop_width = sides.width;
       }},
      {"rescale_factor", [](const json& v, Options& o, Where w) { o.rescale_factor = number_of(v, w); }},
      {"image_mean", [](const json& v, Options& o, Where w) { o.mean = detail::triple_of(v, w); }},
      {"image_std", [](const json& v, Options& o, Where w) { o.std = detail::triple_of(v, w); }},
      {"crop_pct",
       [](const json& v, Options& o, Where w) {
         if (o.kind != "ConvNext") throw Error("only ConvNeXt has a crop percentage", w, "remove it");
         o.crop_pct = number_of(v, w);
       }},
      {"size_divisor",
       [](const json& v, Options& o, Where w) {
         if (o.kind != "Vilt") throw Error("only ViLT has a size divisor", w, "remove it");
         o.size_divisor = side_of(v, w);
       }},
      {"do_image_splitting",
       [](const json& v, Options& o, Where w) {
         o.quarters = bool_of(v, w);
         if (o.quarters && o.kind != "Idefics2") throw Error("only Idefics2 splits pictures", w, "remove it");
       }},
      {"do_pad", read_pad},
      {"image_grid_pinpoints", read_grid},
      {"aspect_ratio_setting",
       [](const json& v, Options& o, Where w) {
         if (o.kind != "LlavaNext" || v != "anyres") throw Error("this setting is not supported", w, "use \"anyres\"");
       }},
  };
  return kReaders;
}

json image_processor_json(const ImageProcessorOptions& options) {
  json config = {{"image_processor_type", options.kind + "ImageProcessor"},
                 {"do_convert_rgb", options.convert_rgb},
                 {"do_resize", options.resize},
                 {"resample", static_cast<int>(options.filter)},
                 {"do_rescale", options.rescale},
                 {"rescale_factor", options.rescale_factor},
                 {"do_normalize", options.normalize},
                 {"image_mean", options.mean},
                 {"image_std", options.std},
                 {"do_center_crop", options.crop}};
  config["size"] = options.size_rule == SizeRule::kExact ? json{{"height", options.height}, {"width", options.width}}
                                                         : json{{"shortest_edge", options.shortest_edge}};
  if (options.longest_edge > 0) config["size"]["longest_edge"] = options.longest_edge;
  if (options.crop_height > 0) config["crop_size"] = {{"height", options.crop_height}, {"width", options.crop_width}};
  if (options.kind == "ConvNext") config["crop_pct"] = options.crop_pct;
  if (options.kind == "Vilt") config["size_divisor"] = options.size_divisor;
  if (options.kind == "LlavaNext") config["image_grid_pinpoints"] = options.grid;
  if (options.kind == "Idefics2") config["do_image_splitting"] = options.quarters;
  if (options.kind == "Idefics2" || options.kind == "Vilt" || options.kind == "Llava" || options.kind == "LlavaNext") {
    config["do_pad"] = options.padding != PaddingRule::kNone;
  }
  return config;
}

}  // namespace

namespace detail {

json timm_json(const ImageProcessorOptions& options);
json open_clip_json(const ImageProcessorOptions& options);

Sides sides_of(const json& value, const std::string& where) {
  if (value.is_number()) return {side_of(value, where), side_of(value, where)};
  if (value.is_array() && value.size() == 2) return {side_of(value[0], where), side_of(value[1], where)};
  if (value.is_object() && value.contains("height") && value.contains("width")) {
    return {side_of(value["height"], where), side_of(value["width"], where)};
  }
  throw Error("expected a height and a width, got " + value.dump(), where);
}

std::array<double, 3> triple_of(const json& value, const std::string& where) {
  if (value.is_number()) return {value.get<double>(), value.get<double>(), value.get<double>()};
  if (!value.is_array() || value.size() != 3) throw Error("expected three numbers, got " + value.dump(), where);
  return {number_of(value[0], where), number_of(value[1], where), number_of(value[2], where)};
}

Filter filter_from(const json& value, const std::string& where) {
  if (value.is_number_integer() && value.get<int64_t>() >= 0 && value.get<int64_t>() <= 5) {
    return static_cast<Filter>(value.get<int>());
  }
  if (value.is_string()) {
    if (const auto filter = filter_of(value)) return *filter;
  }
  throw Error("the resampling filter " + value.dump() + " is not known", where,
              "use 0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box or 5 hamming");
}

void check_options(const ImageProcessorOptions& options, const std::string& where) {
  const auto need = [&](bool holds, const char* what) {
    if (!holds) throw Error(what, where);
  };
  need(!options.crop || (options.crop_height > 0 && options.crop_width > 0), "cropping needs a crop_size");
  need(options.size_rule != SizeRule::kCropPercent || options.crop_pct > 0, "crop_pct must be above 0");
  need(options.crop_pct <= 1, "crop_pct must not be above 1");
  need(options.rescale_factor > 0, "rescale_factor must be above 0");
  for (const double deviation : options.std) need(deviation > 0, "every image_std must be above 0");
  const bool tiles = !options.grid.empty();
  need(!tiles || (options.crop_height > 0 && options.crop_height == options.crop_width),
       "tiles are square: crop_size must be, too");
  for (const auto& [height, width] : options.grid) {
    need(height * width <= int64_t{1} << 28, "an image_grid_pinpoints has more than 2^28 pixels");
  }
}

}  // namespace detail

ImageProcessorOptions image_processor_options(const json& config, const std::string& where) {
  if (!config.is_object()) throw Error("expected a JSON object", where, "give a preprocessor_config.json");
  if (config.contains("image_processor") && config["image_processor"].is_object()) {
    return image_processor_options(config["image_processor"], where + ": image_processor");
  }
  const std::string kind = kind_of(config, where);
  ImageProcessorOptions options = detail::published_kinds().at(kind);
  options.kind = kind;
  const auto place = [&](const std::string& key) { return where.empty() ? key : where + ": " + key; };
  for (const auto& [key, value] : config.items()) {
    if (value.is_null() || kHarmless.contains(key)) continue;  // null is how transformers writes "the default"
    if (key == "size") {
      read_size(value, config, options, place(key));
    } else if (const auto reader = readers().find(key); reader != readers().end()) {
      reader->second(value, options, place(key));
    } else {
      throw Error("the key is not known for a " + kind + " image processor", place(key), "remove it if it is harmless");
    }
  }
  detail::check_options(options, where);
  return options;
}

json to_json(const ImageProcessorOptions& options) {
  switch (options.format) {
    case ProcessorFormat::kTimm:
      return detail::timm_json(options);
    case ProcessorFormat::kOpenClip:
      return detail::open_clip_json(options);
    case ProcessorFormat::kTransformers:
      break;
  }
  return image_processor_json(options);
}

}  // namespace tessera

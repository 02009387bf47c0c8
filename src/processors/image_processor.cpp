#include "processors/image_processor.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/parallel.h"
#include "processors/pipeline.h"

namespace tessera {
namespace {

using Prepared = std::vector<std::vector<Image>>;  // one, or the tiles, for each picture

Normalize normalization(const ImageProcessorOptions& options) {
  Normalize how;
  if (options.rescale) how.scale = static_cast<float>(options.rescale_factor);
  for (size_t c = 0; c < 3 && options.normalize; ++c) {
    how.mean[c] = static_cast<float>(options.mean[c]);
    how.std[c] = static_cast<float>(options.std[c]);
  }
  return how;
}

struct Extent {
  int64_t tiles = 0, height = 0, width = 0;
};

Extent extent_of(const Prepared& pictures, PaddingRule padding) {
  Extent extent;
  const Image& first = pictures.front().front();
  for (const auto& tiles : pictures) {
    extent.tiles = std::max(extent.tiles, static_cast<int64_t>(tiles.size()));
    if (padding != PaddingRule::kTiles && tiles.size() != pictures.front().size()) {
      throw Error("the pictures have different numbers of tiles", "do_pad", "set do_pad, or give them one by one");
    }
    for (const Image& tile : tiles) {
      extent.height = std::max(extent.height, tile.height);
      extent.width = std::max(extent.width, tile.width);
      if (padding != PaddingRule::kBatch && (tile.height != first.height || tile.width != first.width)) {
        throw Error("the pictures come out in different sizes", "pixel_values",
                    "crop them (do_center_crop), or give them one by one");
      }
    }
  }
  return extent;
}

torch::Tensor sizes_of(std::span<const Image> images) {
  torch::Tensor sizes = torch::empty({static_cast<int64_t>(images.size()), 2}, torch::kInt64);
  auto* out = sizes.data_ptr<int64_t>();
  for (const Image& image : images) *out++ = image.height, *out++ = image.width;
  return sizes;  // B x 2
}

torch::Tensor mask_of(const Prepared& pictures, const Extent& extent, bool tiled) {
  const auto count = static_cast<int64_t>(pictures.size());
  torch::Tensor mask = torch::zeros({count, extent.tiles, extent.height, extent.width}, torch::kInt64);
  auto* out = mask.data_ptr<int64_t>();
  for (const auto& tiles : pictures) {
    for (const Image& tile : tiles) {
      for (int64_t y = 0; y < tile.height; ++y) std::fill_n(out + y * extent.width, tile.width, 1);
      out += extent.height * extent.width;
    }
  }
  return tiled ? mask : mask.squeeze(1);  // B (x T) x H x W
}

void fill(const Prepared& pictures, const Extent& extent, const Normalize& how, float* out) {
  const int64_t plane = extent.height * extent.width;
  in_parallel(static_cast<int64_t>(pictures.size()), [&](int64_t i) {
    float* tile_out = out + i * extent.tiles * 3 * plane;
    for (const Image& tile : pictures[static_cast<size_t>(i)]) {
      normalize(tile, how, tile_out, extent.width, plane);
      tile_out += 3 * plane;
    }
  });
}

nlohmann::json read_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error("cannot read the file", path, "check that it exists and is readable");
  try {
    return nlohmann::json::parse(file);
  } catch (const nlohmann::json::exception& error) {
    throw Error(std::string("the file is no JSON: ") + error.what(), path);
  }
}

std::string config_in(const std::string& folder) {
  for (const char* name :
       {"preprocessor_config.json", "processor_config.json", "open_clip_config.json", "config.json"}) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    if (std::filesystem::exists(path)) return path.string();
  }
  throw Error("the folder has no image processor's configuration", folder, "add its preprocessor_config.json");
}

}  // namespace

ImageProcessor ImageProcessor::load(const std::string& path) {
  if (std::filesystem::is_directory(path)) return load(config_in(path));
  const nlohmann::json config = read_json(path);
  if (config.contains("preprocess_cfg")) return ImageProcessor(open_clip_options(config, path));
  if (config.contains("pretrained_cfg") || config.contains("input_size")) {
    return ImageProcessor(timm_options(config, path));
  }
  return ImageProcessor(image_processor_options(config, path));
}

ImageBatch ImageProcessor::operator()(std::span<const Image> images) const {
  if (images.empty()) throw Error("there are no pictures", "images", "give at least one");
  for (const Image& image : images) {
    if (image.empty()) throw Error("a picture is empty", "images", "give pictures that have pixels");
  }
  Prepared pictures(images.size());
  in_parallel(static_cast<int64_t>(images.size()), [&](int64_t i) {
    pictures[static_cast<size_t>(i)] = detail::prepared(images[static_cast<size_t>(i)], options_);
  });
  const Extent extent = extent_of(pictures, options_.padding);
  const auto count = static_cast<int64_t>(images.size());
  const bool tiled = !options_.grid.empty() || options_.quarters;
  const std::vector<int64_t> shape = tiled ? std::vector<int64_t>{count, extent.tiles, 3, extent.height, extent.width}
                                           : std::vector<int64_t>{count, 3, extent.height, extent.width};
  ImageBatch batch;
  batch.pixel_values = torch::zeros(shape, torch::kFloat32);
  fill(pictures, extent, normalization(options_), batch.pixel_values.data_ptr<float>());
  batch.image_sizes = sizes_of(images);
  if (options_.padding == PaddingRule::kBatch) batch.pixel_mask = mask_of(pictures, extent, tiled);
  for (size_t i = 0; i < pictures.size() && tiled; ++i) batch.tiles.push_back(static_cast<int64_t>(pictures[i].size()));
  return batch;
}

}  // namespace tessera

// "LLaVA-NeXT: Improved reasoning, OCR, and world knowledge" (Liu et al., 2024), as transformers publishes it.
#include "vlm/llava_next.h"

#include <cmath>

#include "processors/pipeline.h"

namespace tessera {

LlavaNext::LlavaNext(const VisionLanguageParts& parts, const VisionLanguageOptions& options,
                     const LlavaNextOptions& next)
    : Llava(parts, options), next_(next) {
  if (next.grid.empty()) throw Error("there is no canvas", "image_grid_pinpoints");
  for (const auto& [height, width] : next.grid)
    if (height < next.tile || width < next.tile)
      throw Error("a canvas of " + std::to_string(height) + " x " + std::to_string(width) +
                      " has no room for a tile of " + std::to_string(next.tile),
                  "image_grid_pinpoints");
  newline_ = weight("newline", {width()});
}

/// The tiles of a picture, in tokens: their map, and the part of it that the picture fills.
struct LlavaNext::Map {
  int64_t tiles_high = 1, tiles_wide = 1, tile_rows = 1, tile_columns = 1;
  int64_t top = 0, left = 0, rows = 1, columns = 1;

  int64_t tiles() const { return tiles_high * tiles_wide; }
  int64_t length() const { return tile_rows * tile_columns + rows * (columns + 1); }
};

namespace {

/// How many of `cells` along one side are padding before the picture, when the other side is filled: the picture's
/// `side` is scaled by `filled` / `other`. The rounding to seven places before cutting is the published one.
int64_t padding_before(int64_t cells, int64_t side, int64_t filled, int64_t other) {
  const double scaled = static_cast<double>(side) * (static_cast<double>(filled) / static_cast<double>(other));
  return (cells - static_cast<int64_t>(std::nearbyint(scaled * 1e7) / 1e7)) / 2;
}

}  // namespace

LlavaNext::Map LlavaNext::map_of(const ImageBatch& pictures, int64_t picture) const {
  const int64_t height = pictures.image_sizes[picture][0].item<int64_t>(),
                width = pictures.image_sizes[picture][1].item<int64_t>();
  if (height < 1 || width < 1)
    throw Error("picture " + std::to_string(picture) + " is " + std::to_string(height) + " x " + std::to_string(width),
                "image_sizes", "give each picture's height and width in pixels");
  const auto canvas = detail::best_canvas(height, width, next_.grid);
  const Grid cells = encoder().layout(next_.tile, next_.tile).grid;
  Map map{.tiles_high = canvas.height / next_.tile,
          .tiles_wide = canvas.width / next_.tile,
          .tile_rows = cells[0],
          .tile_columns = cells[1]};
  map.rows = map.tiles_high * map.tile_rows, map.columns = map.tiles_wide * map.tile_columns;
  const bool wider = static_cast<double>(width) / static_cast<double>(height) >
                     static_cast<double>(map.columns) / static_cast<double>(map.rows);
  if (wider)
    map.top = padding_before(map.rows, height, map.columns, width), map.rows -= 2 * map.top;
  else
    map.left = padding_before(map.columns, width, map.rows, height), map.columns -= 2 * map.left;
  return map;
}

Tensor LlavaNext::pack(const Tensor& tiles, const Map& m) const {
  const int64_t dim = tiles.size(2);
  const Tensor whole = tiles.narrow(0, 1, m.tiles())
                           .view({m.tiles_high, m.tiles_wide, m.tile_rows, m.tile_columns, dim})
                           .transpose(1, 2)
                           .reshape({m.tiles_high * m.tile_rows, m.tiles_wide * m.tile_columns, dim});
  const Tensor picture = whole.narrow(0, m.top, m.rows).narrow(1, m.left, m.columns);
  const Tensor ended = torch::cat({picture, newline_.to(tiles.scalar_type()).expand({m.rows, 1, dim})}, 1);
  return torch::cat({tiles[0], ended.reshape({m.rows * (m.columns + 1), dim})});
}

std::vector<int64_t> LlavaNext::picture_lengths(const ImageBatch& pictures) const {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < picture_count(pictures); ++i) lengths.push_back(map_of(pictures, i).length());
  return lengths;
}

std::vector<Tensor> LlavaNext::picture_tokens(const MultimodalBatch& batch) {
  const ImageBatch& pictures = batch.pictures;
  const int64_t count = picture_count(pictures);
  if (count == 0) return {};
  if (pictures.pixel_values.dim() != 5 || !pictures.image_sizes.defined() || pictures.image_sizes.size(0) != count)
    throw Error("pictures are N x tiles x C x H x W, with the size of each", "pixel_values",
                "use the image processor of LLaVA-NeXT");
  std::vector<Map> maps;
  std::vector<Tensor> needed;
  std::vector<int64_t> shares;
  for (int64_t i = 0; i < count; ++i) {
    maps.push_back(map_of(pictures, i));
    shares.push_back(1 + maps.back().tiles());
    if (shares.back() > pictures.pixel_values.size(1))
      throw Error("picture " + std::to_string(i) + " needs " + std::to_string(shares.back()) + " tiles and has " +
                      std::to_string(pictures.pixel_values.size(1)),
                  "pixel_values", "the image processor and the model differ in their grids");
    needed.push_back(pictures.pixel_values[i].narrow(0, 0, shares.back()));
  }
  const auto tiles = bridged(torch::cat(needed), {}, batch.instruction).x.split_with_sizes(shares);
  std::vector<Tensor> packed;
  for (size_t i = 0; i < maps.size(); ++i) packed.push_back(pack(tiles[i], maps[i]));
  return packed;
}

namespace {

Assembly assemble_llava_next(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const LlavaParts llava = read_llava(config);
  LlavaNextOptions next;
  const auto grid = config.get<std::vector<std::vector<int64_t>>>(
      "image_grid_pinpoints", {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}});
  for (const auto& canvas : grid) {
    if (canvas.size() != 2) throw Error("expected pairs [height, width]", where + ": image_grid_pinpoints");
    next.grid.push_back({canvas[0], canvas[1]});
  }
  const auto& image = llava.tower.options.image;
  if (image[0] != image[1]) throw Error("tiles are square", where + ": vision_config: image_size");
  next.tile = image[0];
  // With the class token among them, features do not lie on a grid.
  config.expect<std::string>("vision_feature_select_strategy", "default");
  config.expect("use_image_newline_parameter", true);
  config.done();
  const NameTable newline = {{{"image_newline", "newline"}}};
  return {std::make_shared<LlavaNext>(llava.parts, llava.options, next),
          newline + newline.within("model.", "").aliases() + llava.names};
}

const FamilyRegistration family({"llava-next", "LLaVA-NeXT (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"llava_next"}); },
                                 assemble_llava_next});

}  // namespace
}  // namespace tessera

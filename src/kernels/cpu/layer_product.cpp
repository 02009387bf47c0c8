#include "kernels/cpu/layer_product.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "core/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/tile_product.h"

namespace tessera::cpu {
namespace {

constexpr int64_t kPanel = 64;
constexpr int64_t kPanelBytes = 512 * 1024;  // of a panel, which stays in a core's second cache from row to row
constexpr int64_t kGroupBytes = 384 * 1024;  // of panels that a block of rows meets one after the other
constexpr int64_t kTileRows = 21 * kRegisterRows, kFewestRows = 8 * kRegisterRows;  // of a tile
constexpr int64_t kTilesEach = 24;                                                  // for a thread

int64_t bytes_of(ProductKind kind) { return 4 / inputs_together(kind); }

/// A range of rows, and of panels whose sums belong together.
struct Tile {
  int64_t row, rows, panel, panels;
};

/// Six rows at a time, or all where they are few: their sums are finished while they are in the first cache. Panels
/// that are too large for the second are gone through in parts.
void by_registers(const LayerProduct& layer, const Tile& tile, const char* weights) {
  thread_local Scratch memory;
  const int64_t size = bytes_of(layer.kind), width = tile.panels * kPanel;
  const int64_t part = kPanelBytes / (kPanel * size);
  const bool parts = layer.inputs > part;
  const int64_t most = std::max(kRegisterRows, tile.rows <= kFewRows ? tile.rows : 0);
  const int64_t blocks = (tile.rows + most - 1) / most;
  float* sums = memory.of<float>(static_cast<size_t>((parts ? tile.rows : most) * width));
  const int64_t column = layer.finish.gated ? tile.panel / 2 * kPanel : tile.panel * kPanel;
  const int64_t columns = std::min(layer.finish.gated ? kPanel : width, layer.outputs - column);
  for (int64_t first = 0; first < layer.inputs; first += part)
    for (int64_t row = 0; row < tile.rows; row += most) {
      const int64_t rows = std::min(most, tile.rows - row), inputs = std::min(part, layer.inputs - first);
      const char* x = static_cast<const char*>(layer.x) + ((tile.row + row) * layer.x_stride + first) * size;
      float* out = sums + (parts ? row * width : 0);
      for (int64_t i = 0; i < tile.panels; ++i) {
        const char* panel = weights + i * layer.panel_bytes + first * kPanel * size;
        PanelProduct product{layer.kind, rows, kPanel, inputs, layer.x_stride, width, first > 0};
        if (blocks > 1 && !layer.unpacks) {  // each block asks for its share of the panels that come next
          product.next_bytes = inputs * kPanel * size / blocks;
          product.next = panel + tile.panels * layer.panel_bytes + row / most * product.next_bytes;
        }
        multiply_panel(product, x, panel, out + i * kPanel);
      }
      if (first + inputs == layer.inputs)
        finish({out, layer.kind == ProductKind::kInt8, width}, rows, columns,
               layer.finish_at(tile.row + row, column, tile.panel * kPanel));
    }
}

/// The same with the processor's unit for tiles.
void by_tiles(const LayerProduct& layer, const Tile& tile, const char* weights) {
  thread_local Scratch memory;
  const int64_t width = tile.panels * kPanel;
  float* sums = memory.of<float>(static_cast<size_t>(tile.rows * width));
  const char* x = static_cast<const char*>(layer.x) + tile.row * layer.x_stride * bytes_of(layer.kind);
  multiply_tile({layer.kind, tile.rows, width, layer.inputs}, x, weights, sums);
  const int64_t column = layer.finish.gated ? tile.panel / 2 * kPanel : tile.panel * kPanel;
  finish({sums, layer.kind == ProductKind::kInt8, width}, tile.rows,
         std::min(layer.finish.gated ? kPanel : width, layer.outputs - column),
         layer.finish_at(tile.row, column, tile.panel * kPanel));
}

}  // namespace

Finish LayerProduct::finish_at(int64_t row, int64_t column, int64_t output) const {
  Finish part = finish;
  for (const float** numbers : {&part.column_scale, &part.column_offset, &part.bias})
    if (*numbers) *numbers += output;
  if (part.row_scale) part.row_scale += row;
  if (part.residual) part.residual += row * part.residual_stride + column;
  part.out = static_cast<char*>(part.out) + (row * part.out_stride + column) * (part.narrow ? 2 : 4);
  return part;
}

namespace {

/// So many that rows are read, and results written, seldom and in long pieces, and that there is work for all threads.
int64_t panels_of_tile(const LayerProduct& layer, int64_t panels) {
  if (layer.finish.gated) return 2;
  if (layer.unpacks || layer.rows <= kFewRows) return 1;
  const int64_t most = std::max<int64_t>(1, kGroupBytes / layer.panel_bytes);
  const int64_t row_tiles = (layer.rows + kFewestRows - 1) / kFewestRows;
  const int64_t groups =
      std::max((panels + most - 1) / most, std::min(panels, kTilesEach * at::get_num_threads() / row_tiles));
  return (panels + groups - 1) / groups;
}

}  // namespace

void multiply(const LayerProduct& layer) {
  const bool tiles = layer.x_stride == layer.inputs && has_tile_unit(layer.kind);
  const int64_t halves = layer.finish.gated ? 2 : 1, panels = (layer.outputs + kPanel - 1) / kPanel * halves;
  const int64_t together = tiles ? 2 : panels_of_tile(layer, panels), columns = (panels + together - 1) / together;
  // Enough tiles that no thread waits long for another's last one.
  const int64_t wanted = std::max<int64_t>(1, kTilesEach * at::get_num_threads() / columns);
  const int64_t fewest = (layer.rows + kTileRows - 1) / kTileRows, most = (layer.rows + kFewestRows - 1) / kFewestRows;
  const int64_t row_tiles = tiles || layer.unpacks ? fewest : std::max(fewest, std::min(wanted, most));
  const int64_t even = (layer.rows + row_tiles - 1) / row_tiles;
  const int64_t each = (even + kRegisterRows - 1) / kRegisterRows * kRegisterRows;
  const auto run = [&](int64_t column, int64_t row_tile, const void* weights) {
    const int64_t row = row_tile * each, panel = column * together;
    const Tile tile{row, std::min(each, layer.rows - row), panel, std::min(together, panels - panel)};
    if (tile.rows <= 0) return;
    (tiles ? by_tiles : by_registers)(layer, tile, static_cast<const char*>(weights));
  };
  const auto weights = [&](int64_t column) {
    return layer.panels(column * together, std::min(together, panels - column * together));
  };
  if (!layer.unpacks)
    return in_parallel(columns * row_tiles,
                       [&](int64_t i) { run(i / row_tiles, i % row_tiles, weights(i / row_tiles)); });
  in_parallel(columns, [&](int64_t column) {
    const void* unpacked = weights(column);
    for (int64_t row_tile = 0; row_tile < row_tiles; ++row_tile) run(column, row_tile, unpacked);
  });
}

}  // namespace tessera::cpu

#include "encoders/swin.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "encoders/published.h"
#include "layers/feed_forward.h"
#include "layers/grid.h"
#include "layers/positions.h"
#include "layers/window_attention.h"

namespace tessera {
namespace {

const Registration<Encoder, Swin, SwinOptions> registration(encoders(), "swin");

constexpr double kEntryEps = 1e-5;

/// Patches with a norm and, where asked for, absolute positions.
class SwinEmbed : public NormedConvolution {
 public:
  explicit SwinEmbed(const SwinOptions& o)
      : NormedConvolution({.in = o.channels,
                           .out = o.dim,
                           .kernel = o.patch,
                           .stride = o.patch,
                           .norm = o.patch_norm,
                           .fill = true,
                           .eps = kEntryEps}) {
    trained_ = {extent(o.image[0]), extent(o.image[1])};
    if (o.absolute_positions) positions_ = weight("positions", {1, trained_[0] * trained_[1], o.dim});
  }

  Tensor forward(const Tensor& pixels) override {
    Tokens tokens = as_tokens(NormedConvolution::forward(pixels));
    tap(*this, tokens.x, "patches");
    if (positions_.defined()) tokens.x = tokens.x + resample_positions(positions_, 0, trained_, tokens.grid);
    tap(*this, tokens.x, "embed");
    return as_map(tokens);
  }

 private:
  Grid trained_;
  Tensor positions_;  // 1 x h*w x D
};

}  // namespace

PatchMerging::PatchMerging(int64_t in, int64_t out) {
  norm_ = add<Norm>("norm", 4 * in, kEntryEps);
  reduction_ = add<Linear>("reduction", 4 * in, out, /*with_bias=*/false);
}

Tensor PatchMerging::forward(const Tensor& map) {
  const int64_t batch = map.size(0), dim = map.size(1), rows = extent(map.size(2)), columns = extent(map.size(3));
  const Tensor even = torch::constant_pad_nd(map, {0, map.size(3) % 2, 0, map.size(2) % 2});
  const Tensor joined = even.reshape({batch, dim, rows, 2, columns, 2})
                            .permute({0, 2, 4, 5, 3, 1})  // the two of a column stand one after the other
                            .reshape({batch, rows * columns, 4 * dim});
  const Tensor merged = tap(*this, reduction_->forward(norm_->forward(joined)), "merged");
  return merged.transpose(1, 2).view({batch, -1, rows, columns});
}

Swin::Swin(const SwinOptions& o) : Pyramid("swin", o.channels) {
  check_stages("swin", o.depths.size(), {o.heads.size(), o.windows.size()});
  if (o.image.size() != 2) throw Error("image is [height, width]", "swin");
  const int64_t all = std::accumulate(o.depths.begin(), o.depths.end(), int64_t{0});
  int64_t index = 0, dim = o.dim;
  for (size_t s = 0; s < o.depths.size(); ++s, dim *= 2) {
    std::shared_ptr<Downsampler> entry;
    if (s == 0)
      entry = std::make_shared<SwinEmbed>(o);
    else
      entry = std::make_shared<PatchMerging>(dim / 2, dim);
    auto stage = std::make_shared<PyramidStage>(entry);
    const AttentionOptions attention{.dim = dim, .heads = o.heads[s], .qkv_bias = o.qkv_bias, .scale = o.scale};
    for (int64_t i = 0; i < o.depths[s]; ++i, ++index) {
      const WindowOptions window{.window = o.windows[s], .shifted = i % 2 == 1, .shrink = true, .relative_bias = true};
      stage->blocks().append(
          BlockOptions{.dim = dim, .eps = o.eps, .drop_path = rising(o.drop_path, index, all), .dropout = o.dropout},
          std::make_shared<WindowAttention>(attention, window),
          std::make_shared<Mlp>(dim, static_cast<int64_t>(static_cast<double>(dim) * o.ffn_ratio), o.activation));
    }
    add_stage(stage, dim);
  }
  add_norm(o.eps);
}

}  // namespace tessera

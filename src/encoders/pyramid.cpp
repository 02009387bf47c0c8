#include "encoders/pyramid.h"

#include "core/error.h"
#include "layers/grid.h"

namespace tessera {

NormedConvolution::NormedConvolution(const NormedConvolutionOptions& options) : options_(options) {
  const auto& o = options_;
  convolution_ = add<Convolution>("convolution", ConvolutionOptions{.in = o.in,
                                                                    .out = o.out,
                                                                    .kernel_height = o.kernel,
                                                                    .kernel_width = o.kernel,
                                                                    .stride_height = o.stride,
                                                                    .stride_width = o.stride,
                                                                    .padding = o.padding});
  if (o.norm) norm_ = add<Norm>("norm", o.pre_norm ? o.in : o.out, o.eps);
}

Tensor NormedConvolution::forward(const Tensor& map) {
  const auto& o = options_;
  Tensor x = map;
  const int64_t below = (o.stride - x.size(2) % o.stride) % o.stride,
                right = (o.stride - x.size(3) % o.stride) % o.stride;
  if (o.fill && below + right > 0) x = torch::constant_pad_nd(x, {0, right, 0, below});
  if (norm_ && o.pre_norm) x = norm_map(*norm_, x);
  x = convolution_->forward(x);
  if (norm_ && !o.pre_norm) x = norm_map(*norm_, x);
  return tap(*this, x);
}

int64_t NormedConvolution::extent(int64_t before) const {
  const auto& o = options_;
  const int64_t filled = o.fill ? (before + o.stride - 1) / o.stride * o.stride : before, room = filled + 2 * o.padding;
  return room < o.kernel ? 0 : (room - o.kernel) / o.stride + 1;
}

PyramidStage::PyramidStage(std::shared_ptr<Downsampler> entry) : entry_(register_module("entry", std::move(entry))) {
  blocks_ = add<ModuleList<Block>>("blocks");
}

Tensor PyramidStage::forward(const Tensor& map) { return tap(*this, as_map(mix(as_tokens(entry_->forward(map))))); }

Tokens PyramidStage::mix(Tokens tokens) {
  for (const auto& block : *blocks_) tokens = block->forward(tokens);
  return tokens;
}

Pyramid::Pyramid(std::string name, int64_t channels) : name_(std::move(name)), channels_(channels) {
  stages_ = add<ModuleList<PyramidStage>>("stages");
}

void Pyramid::add_stage(std::shared_ptr<PyramidStage> stage, int64_t width) {
  stages_->append(std::move(stage));
  width_ = width;
}

Encoder::Layout Pyramid::layout(int64_t height, int64_t width) const {
  Grid grid = {height, width};
  for (const auto& stage : *stages_)
    for (int64_t& extent : grid) extent = stage->entry().extent(extent);
  return {.grid = grid};
}

Tokens Pyramid::forward(const Tensor& pixels) {
  if (pixels.dim() != 4 || pixels.size(1) != channels_)
    throw Error("pixels are B x " + std::to_string(channels_) + " x H x W", name_);
  Tensor map = pixels;
  for (const auto& stage : *stages_) {
    if (stage->entry().extent(map.size(2)) < 1 || stage->entry().extent(map.size(3)) < 1)
      throw Error("the picture is too small for " + std::to_string(stages_->size()) + " stages", name_);
    map = stage->forward(map);
  }
  return finish(as_tokens(tap(*this, map, "map")));
}

void check_stages(const std::string& name, size_t stages, const std::vector<size_t>& lengths) {
  for (const size_t length : lengths)
    if (stages == 0 || length != stages)
      throw Error("the lists of the stages have different lengths", name, "each has one entry a stage");
}

double rising(double last, int64_t index, int64_t count) {
  return count > 1 ? last * static_cast<double>(index) / static_cast<double>(count - 1) : 0;
}

}  // namespace tessera

#include "bridges/grid_projection.h"

#include <cmath>

namespace tessera {
namespace {

const Registration<Bridge, GridProjection, GridProjectionOptions> registration(bridges(), "grid-projection");

}  // namespace

Tensor sine_cosine_sequence(int64_t count, int64_t dim) {
  const auto wide = torch::TensorOptions().dtype(torch::kFloat64);
  const Tensor rates = torch::exp(torch::arange(0, dim, 2, wide) * (-std::log(10000.0) / static_cast<double>(dim)));
  const Tensor angles = torch::arange(count, wide).unsqueeze(1) * rates;  // count x ceil(dim / 2)
  return torch::stack({angles.sin(), angles.cos()}, -1).flatten(1).narrow(1, 0, dim).to(torch::kFloat32);
}

GridProjection::GridProjection(const GridProjectionOptions& options) : options_(options) {
  const auto& o = options_;
  for (const std::string& source : o.sources)
    check_choice(source, {"spatial_avg_pool", "temporal_avg_pool", "last_frame"}, "sources");
  if (o.sources.empty()) throw Error("nothing goes on to the language model", "sources");
  rows_ = add<Embedding>("rows", o.positions, o.dim / 2);
  columns_ = add<Embedding>("columns", o.positions, o.dim - o.dim / 2);
  if (o.frames > 0) frames_ = register_buffer("frames", sine_cosine_sequence(o.frames, o.dim));
  projection_ = add<Linear>("projection", o.dim, o.width, false);
  norm_ = add<Norm>("norm", o.width, 1e-5);
}

Tensor GridProjection::positioned(const Tokens& visual) {
  const Grid& grid = visual.grid;
  if (grid.size() != 2 && grid.size() != 3)
    throw Error("the tokens fill no grid", "bridge", "this bridge needs an encoder that keeps rows and columns");
  const int64_t frames = grid.size() == 3 ? grid[0] : 1, height = grid[grid.size() - 2], width = grid.back();
  if (std::max(height, width) > options_.positions || (frames_.defined() && frames > frames_.size(0)))
    throw Error("a grid of " + std::to_string(frames) + " x " + std::to_string(height) + " x " + std::to_string(width) +
                    " is larger than the tables of positions",
                "bridge", "give smaller pictures or fewer frames");
  const auto places_of = [&](int64_t count) { return torch::arange(count, visual.x.options().dtype(torch::kInt64)); };
  const Tensor row = rows_->forward(places_of(height)).unsqueeze(1).expand({height, width, -1});
  const Tensor column = columns_->forward(places_of(width)).unsqueeze(0).expand({height, width, -1});
  const Tensor places = torch::cat({column, row}, -1).flatten(0, 1);  // h*w x D
  const Tensor x = visual.body();
  Tensor result = x.reshape({x.size(0), frames, height * width, x.size(2)}) + places;
  if (frames_.defined()) result = result + frames_.narrow(0, 0, frames).unsqueeze(1);
  return result;
}

int64_t GridProjection::length(int64_t visual) const {
  int64_t sum = 0;
  for (const std::string& source : options_.sources) sum += source == "spatial_avg_pool" ? 1 : visual;
  return sum;
}

Tokens GridProjection::forward(const Tokens& visual, const TextBatch* text) {
  refuse_text(text);
  const Tensor x = positioned(visual);  // N x frames x places x D
  std::vector<Tensor> parts;
  for (const std::string& source : options_.sources)
    parts.push_back(source == "spatial_avg_pool"    ? x.mean(2)
                    : source == "temporal_avg_pool" ? x.mean(1)
                                                    : x.select(1, x.size(1) - 1));
  Tokens result;
  result.x = tap(*this, norm_->forward(projection_->forward(torch::cat(parts, 1))));
  return result;
}

}  // namespace tessera

#include "layers/positions.h"

#include "core/error.h"

namespace tessera {

Tensor resample_positions(const Tensor& table, int64_t prefix, const Grid& from, const Grid& to, bool antialias) {
  if (from == to) return table;
  const int64_t dim = table.size(2);
  const Tensor kept = table.narrow(1, 0, prefix);
  Tensor grid =
      table.narrow(1, prefix, table.size(1) - prefix).reshape({1, from[0], from[1], dim}).permute({0, 3, 1, 2});
  grid = grid.to(torch::kFloat32);
  grid = antialias ? at::_upsample_bicubic2d_aa(grid, {to[0], to[1]}, false)
                   : torch::upsample_bicubic2d(grid, {to[0], to[1]}, false);
  grid = grid.permute({0, 2, 3, 1}).reshape({1, to[0] * to[1], dim}).to(table.scalar_type());
  return torch::cat({kept, grid}, 1);
}

Tensor sine_cosine_positions(int64_t height, int64_t width, int64_t dim) {
  if (dim % 4 != 0)
    throw Error("the width " + std::to_string(dim) + " must be a multiple of 4", "sine-cosine positions");
  const auto exact = torch::TensorOptions().dtype(torch::kFloat64);
  const Tensor frequency = torch::pow(10000.0, -torch::arange(dim / 4, exact) * 4 / dim);  // dim/4
  const Tensor column = torch::arange(width, exact).repeat({height});                      // height*width
  const Tensor row = torch::arange(height, exact).repeat_interleave(width);
  const Tensor x = column.unsqueeze(1) * frequency, y = row.unsqueeze(1) * frequency;
  return torch::cat({x.sin(), x.cos(), y.sin(), y.cos()}, 1).to(torch::kFloat32);
}

Tensor sinusoidal_positions(const Tensor& at, const torch::TensorOptions& like, int64_t dim) {
  if (dim % 2 != 0 || dim < 4)
    throw Error("the width " + std::to_string(dim) + " must be even and 4 or more", "positions");
  const auto exact = like.dtype(torch::kFloat64).requires_grad(false);
  const Tensor frequency = torch::pow(10000.0, -torch::arange(dim / 2, exact) / (dim / 2 - 1));
  const Tensor angle = at.select(-1, 0).to(torch::kFloat64).unsqueeze(-1) * frequency;  // B x L x dim / 2
  return torch::cat({angle.sin(), angle.cos()}, -1).to(like.dtype());
}

Tensor sine_positions(int64_t count, int64_t dim) {
  const auto exact = torch::TensorOptions().dtype(torch::kFloat64);
  const Tensor frequency = torch::pow(10000.0, -torch::arange(0, dim, 2, exact) / static_cast<double>(dim));
  const Tensor angle = torch::arange(count, exact).unsqueeze(1) * frequency;  // count x (dim + 1) / 2
  return torch::stack({angle.sin(), angle.cos()}, 2).flatten(1).narrow(1, 0, dim).to(torch::kFloat32);
}

}  // namespace tessera

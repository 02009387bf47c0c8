#include "layers/grid.h"

#include "core/error.h"

namespace tessera {

torch::Tensor as_map(const Tokens& tokens) {
  const Grid& grid = tokens.grid;
  const torch::Tensor body = tokens.body();  // B x h*w x D
  if (grid.size() != 2 || grid[0] * grid[1] != body.size(1))
    throw Error(std::to_string(body.size(1)) + " tokens fill no grid of rows and columns", "tokens",
                "windows and convolutions need the tokens of one picture each");
  return body.transpose(1, 2).view({body.size(0), body.size(2), grid[0], grid[1]});
}

Tokens as_tokens(const torch::Tensor& map) {
  Tokens tokens;
  tokens.x = map.flatten(2).transpose(1, 2);
  tokens.grid = {map.size(2), map.size(3)};
  return tokens;
}

Tokens with_map(const Tokens& tokens, const torch::Tensor& map) {
  const torch::Tensor body = map.flatten(2).transpose(1, 2), &x = tokens.x;
  if (tokens.prefix == 0 && tokens.suffix == 0) return tokens.with(body);
  return tokens.with(
      torch::cat({x.narrow(1, 0, tokens.prefix), body, x.narrow(1, x.size(1) - tokens.suffix, tokens.suffix)}, 1));
}

torch::Tensor norm_map(Norm& norm, const torch::Tensor& map) {
  return norm.forward(map.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
}

}  // namespace tessera

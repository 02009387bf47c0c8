#include "layers/headwise.h"

#include <cmath>

#include "core/error.h"
#include "kernels/blockwise.h"
#include "kernels/inference.h"

namespace tessera {

HeadwiseLinear::HeadwiseLinear(int64_t dim, int64_t blocks, bool with_bias) {
  if (blocks < 1 || dim % blocks != 0)
    throw Error("width " + std::to_string(dim) + " cannot be split into " + std::to_string(blocks) + " blocks",
                "headwise linear");
  const int64_t width = dim / blocks;
  weight = Module::weight("weight", {blocks, width, width}, std::sqrt(2.0 / 5 / static_cast<double>(width)));
  if (with_bias) bias = Module::weight("bias", {dim}, 0);
}

Tensor HeadwiseLinear::forward(const Tensor& x) {
  if (weight.size(1) == 4 && for_inference({x, weight, bias})) return tap(*this, products_of_fours(x, weight, bias));
  const Tensor blocks = x.reshape({x.size(0), x.size(1), weight.size(0), weight.size(2)});
  const Tensor y = torch::einsum("blhi,hoi->blho", {blocks, weight}).flatten(2);
  return tap(*this, bias.defined() ? y + bias : y);
}

HeadNorm::HeadNorm(int64_t dim, int64_t heads, double eps, bool zero_centred, bool with_bias)
    : heads_(heads), eps_(eps), zero_centred_(zero_centred) {
  if (heads < 1 || dim % heads != 0)
    throw Error("width " + std::to_string(dim) + " cannot be split into " + std::to_string(heads) + " heads", "norm");
  weight = zero_centred ? Module::weight("weight", {dim}, 0) : ones("weight", {dim});
  if (with_bias) bias = Module::weight("bias", {dim}, 0);
}

Tensor HeadNorm::forward(const Tensor& x) {
  const int64_t width = x.size(2) / heads_;
  const Tensor y =
      torch::layer_norm(x.reshape({x.size(0), x.size(1), heads_, width}), {width}, {}, {}, eps_).flatten(2) *
      (zero_centred_ ? 1 + weight : weight);
  return tap(*this, bias.defined() ? y + bias : y);
}

}  // namespace tessera

#include "layers/polycom.h"

#include "core/error.h"
#include "kernels/inference.h"
#include "kernels/polynomial.h"
#include "layers/feed_forward.h"

namespace tessera {
namespace {

struct PolyRelu : PolynomialActivation {
  explicit PolyRelu(const NoOptions&) : PolynomialActivation(false) {}
};
struct PolyNorm : PolynomialActivation {
  explicit PolyNorm(const NoOptions&) : PolynomialActivation(true) {}
};
const Registration<FeedForward, PolyRelu, NoOptions> relu(learned_activations(), "polyrelu");
const Registration<FeedForward, PolyNorm, NoOptions> norm(learned_activations(), "polynorm");

constexpr double kEps = 1e-6;

Tensor unit(const Tensor& x) { return x * torch::rsqrt(x.pow(2).mean(-1, true) + kEps); }

}  // namespace

PolynomialActivation::PolynomialActivation(bool normalised) : normalised_(normalised) {
  weight = register_parameter("weight", torch::full({3}, 1.0 / 3));
  bias = Module::weight("bias", {1}, 0);
}

Tensor PolynomialActivation::forward(const Tensor& x) {
  if (for_inference({x, weight, bias})) return tap(*this, fused_polynomial(x, weight, bias, normalised_, kEps));
  const Tensor base = normalised_ ? x.to(torch::kFloat32) : torch::relu(x);
  const auto term = [&](const Tensor& power) { return normalised_ ? unit(power) : power; };
  const Tensor y = weight[0] * term(base.pow(3)) + weight[1] * term(base.pow(2)) + weight[2] * term(base) + bias;
  return tap(*this, y.to(x.scalar_type()));
}

Tensor PolynomialActivation::of_blocks(const Tensor& data, int64_t hidden) {
  const int64_t side = data.size(-1);
  if (data.dim() != 3 || data.size(1) != side || hidden % side != 0 || data.size(0) * side % hidden != 0)
    throw Error("blocks are R C x b x b, and C b is the hidden width " + std::to_string(hidden), "PolyCom");
  const int64_t columns = hidden / side;
  const Tensor tokens = data.view({-1, columns, side, side}).transpose(1, 2);  // R x b x C x b
  return forward(tokens.flatten(2)).view(tokens.sizes()).transpose(1, 2).reshape(data.sizes());
}

}  // namespace tessera

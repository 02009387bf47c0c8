#include "layers/performer.h"

#include <cmath>

namespace tessera {

using torch::Tensor;

Tensor positive_features(const Tensor& x, const Tensor& w) {
  const Tensor wide = x.to(torch::kFloat32);
  const Tensor half_square = wide.square().sum(-1, /*keepdim=*/true) / 2;
  return (torch::matmul(wide, w.to(torch::kFloat32).t()) - half_square).exp() /
         std::sqrt(static_cast<double>(w.size(0)));
}

Tensor orthogonal_directions(int64_t m, int64_t d) {
  const Tensor q = std::get<0>(torch::linalg_qr(torch::randn({d, m})));  // columns of length 1
  return (q.t() * std::sqrt(static_cast<double>(m))).contiguous();
}

Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, double eps) {
  const Tensor sums = torch::matmul(k.transpose(1, 2), v.to(k.scalar_type()));  // B x m x d
  const Tensor weight = torch::matmul(q, k.sum(1).unsqueeze(-1));               // B x L x 1
  return (torch::matmul(q, sums) / (weight + eps)).to(v.scalar_type());
}

}  // namespace tessera

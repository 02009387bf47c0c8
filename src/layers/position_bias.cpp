#include "layers/position_bias.h"

#include <cmath>

#include "core/error.h"

namespace tessera {

RelativeBias::RelativeBias(const RelativeBiasOptions& options) : options_(options) {
  const int64_t exact = options.buckets / (options.bidirectional ? 4 : 2);
  if (exact < 1 || options.distance <= exact)
    throw Error(
        std::to_string(options.buckets) + " buckets cannot hold distances up to " + std::to_string(options.distance),
        "relative positions", "give at least 4 buckets and a distance above half of them");
  weight_ = weight("weight", {options.buckets, options.heads});
}

Tensor RelativeBias::forward(const Tensor& queries, const Tensor& keys) {
  const auto& o = options_;
  Tensor distance = queries.unsqueeze(2) - keys.unsqueeze(1);  // B x L x S, positive for earlier keys
  Tensor bucket = torch::zeros_like(distance);
  int64_t buckets = o.buckets;
  if (o.bidirectional) {
    buckets /= 2;
    bucket = distance.lt(0).to(torch::kInt64) * buckets;
    distance = distance.abs();
  } else {
    distance = distance.clamp_min(0);
  }
  const int64_t exact = buckets / 2;
  const double growth =
      static_cast<double>(buckets - exact) / std::log(static_cast<double>(o.distance) / static_cast<double>(exact));
  // In float32 as the reference: a distance on the edge of two buckets must fall as it did in training.
  const Tensor far = exact + ((distance.clamp_min(exact).to(torch::kFloat32) / exact).log() * growth).to(torch::kInt64);
  bucket = bucket + torch::where(distance.lt(exact), distance, far.clamp_max(buckets - 1));
  return tap(*this, torch::embedding(weight_, bucket).permute({0, 3, 1, 2}));
}

namespace {

std::vector<float> slopes_of(int64_t heads) {
  const auto powers = [](int64_t count, int64_t step) {
    const double base = std::pow(2.0, -8.0 / static_cast<double>(count));
    std::vector<float> values;
    for (int64_t i = 1; i <= count; i += step)
      values.push_back(static_cast<float>(std::pow(base, static_cast<double>(i))));
    return values;
  };
  int64_t whole = 1;
  while (2 * whole <= heads) whole *= 2;
  auto slopes = powers(whole, 1);
  // The slopes between those of a power of two: every second one of twice as many heads.
  for (const float slope : powers(2 * whole, 2))
    if (static_cast<int64_t>(slopes.size()) < heads) slopes.push_back(slope);
  return slopes;
}

}  // namespace

LinearBias::LinearBias(int64_t heads) : slopes_(torch::tensor(slopes_of(heads))) {}

Tensor LinearBias::forward(const Tensor& queries, const Tensor& keys) {
  const Tensor distance = (queries.unsqueeze(2) - keys.unsqueeze(1)).clamp_min(0).unsqueeze(1);  // B x 1 x L x S
  return -distance * slopes_.on(queries.device()).view({1, -1, 1, 1});
}

}  // namespace tessera

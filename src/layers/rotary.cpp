#include "layers/rotary.h"

#include <cmath>

#include "core/error.h"

namespace tessera {
namespace {

using torch::Tensor;

constexpr double kTwoPi = 6.283185307179586;

/// Frequencies that turn less often than `low` times in the original length are divided by the factor, those that turn
/// more often than `high` times are kept, those between are blended.
Tensor llama3_frequencies(const RotaryOptions& o, const Tensor& plain) {
  const Tensor turns = plain * static_cast<double>(o.original_length) / kTwoPi;
  const Tensor kept = ((turns - o.low_frequency) / (o.high_frequency - o.low_frequency)).clamp(0, 1);
  return plain * kept + plain / o.factor * (1 - kept);
}

/// The blend is linear in the channel's number between the channels that turn beta_fast and beta_slow times.
Tensor yarn_frequencies(const RotaryOptions& o, const Tensor& plain, int64_t channels) {
  const auto channel_of = [&](double turns) {
    const double length = static_cast<double>(o.original_length);
    return static_cast<double>(channels) * std::log(length / (turns * kTwoPi)) / (2 * std::log(o.theta));
  };
  double low = channel_of(o.beta_fast), high = channel_of(o.beta_slow);
  if (o.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, static_cast<double>(channels - 1));
  if (low == high) high += 0.001;
  const Tensor divided = ((torch::arange(channels / 2, plain.options()) - low) / (high - low)).clamp(0, 1);
  return plain / o.factor * divided + plain * (1 - divided);
}

/// How many channels rotate. @throws Error for options that mean nothing
int64_t checked_channels(const RotaryOptions& o, int64_t head_dim) {
  check_choice(o.scaling, {"default", "linear", "dynamic", "yarn", "llama3", "longrope"}, "rotary scaling");
  const auto channels = static_cast<int64_t>(static_cast<double>(head_dim) * o.fraction);
  if (channels < 2 || channels % 2 != 0 || channels > head_dim)
    throw Error(std::to_string(channels) + " of a head's " + std::to_string(head_dim) + " channels cannot rotate",
                "rotary positions", "pairs of channels rotate");
  if (o.factor <= 0 || o.theta <= 1 || o.original_length < 1)
    throw Error("factor, theta - 1 and the original length must be positive", "rotary positions");
  if (o.scaling == "longrope")
    for (const auto* list : {&o.short_factor, &o.long_factor})
      if (static_cast<int64_t>(list->size()) != channels / 2)
        throw Error("a list of " + std::to_string(list->size()) + " factors does not fit " +
                        std::to_string(channels / 2) + " frequencies",
                    "rotary positions");
  return channels;
}

Tensor exponents_of(int64_t channels) {
  return -torch::arange(0, channels, 2, torch::kFloat64) / static_cast<double>(channels);
}

}  // namespace

Rotary::Rotary(const RotaryOptions& options, int64_t head_dim)
    : options_(options),
      channels_(checked_channels(options, head_dim)),
      exponents_(exponents_of(channels_)),
      short_(frequencies(1).to(torch::kFloat32)),
      long_(frequencies(options.original_length + 1).to(torch::kFloat32)) {}

Tensor Rotary::frequencies(int64_t length) const {
  const auto& o = options_;
  if (o.scaling == "dynamic" && length > o.original_length)
    return dynamic_frequencies(torch::tensor(static_cast<double>(length), torch::kFloat64));
  const Tensor plain = torch::pow(o.theta, exponents_.on(torch::kCPU));
  if (o.scaling == "linear") return plain / o.factor;
  if (o.scaling == "llama3") return llama3_frequencies(o, plain);
  if (o.scaling == "yarn") return yarn_frequencies(o, plain, channels_);
  if (o.scaling == "longrope") {
    const auto& divisors = length > o.original_length ? o.long_factor : o.short_factor;
    return plain / torch::tensor(divisors, torch::kFloat64);
  }
  return plain;
}

/// Of a sequence beyond the original length. @param length  a number, double
Tensor Rotary::dynamic_frequencies(const Tensor& length) const {
  const auto& o = options_;
  const double channels = static_cast<double>(channels_), original = static_cast<double>(o.original_length);
  const Tensor growth = torch::pow(length * o.factor / original - (o.factor - 1), channels / (channels - 2));
  return torch::pow(growth * o.theta, exponents_.on(length.device()));
}

/// Those of the sequences whose positions are given, where the positions are; the host looks at no number.
Tensor Rotary::frequencies_at(const Tensor& at) const {
  const bool dynamic = options_.scaling == "dynamic";
  if ((!dynamic && options_.scaling != "longrope") || at.numel() == 0) return short_.on(at.device());
  const Tensor last = at.max();
  const Tensor stretched =
      dynamic ? dynamic_frequencies(last.to(torch::kFloat64) + 1).to(torch::kFloat32) : long_.on(at.device());
  return torch::where(last.ge(options_.original_length), stretched, short_.on(at.device()));
}

double Rotary::amplitude() const {
  const auto& o = options_;
  if (o.scaling != "yarn" && o.scaling != "longrope") return 1;
  if (o.attention_factor > 0) return o.attention_factor;
  if (o.factor <= 1) return 1;
  if (o.scaling == "yarn") return 0.1 * std::log(o.factor) + 1;
  return std::sqrt(1 + std::log(o.factor) / std::log(static_cast<double>(o.original_length)));
}

Rotation Rotary::rotation(const Tensor& at, const torch::TensorOptions& like) const {
  const Tensor angles = at.select(-1, 0).unsqueeze(1).unsqueeze(-1).to(torch::kFloat32) * frequencies_at(at);
  const double scale = amplitude();
  return {(angles.cos() * scale).to(like.dtype()), (angles.sin() * scale).to(like.dtype()), options_.adjacent};
}

Tensor Rotation::apply(const Tensor& x) const {
  const int64_t half = cosine.size(-1), rest = x.size(-1) - 2 * half;
  Tensor first, second;
  if (adjacent) {
    auto shape = x.sizes().vec();
    shape.back() = half, shape.push_back(2);
    const Tensor pairs = x.narrow(-1, 0, 2 * half).reshape(shape);
    first = pairs.select(-1, 0), second = pairs.select(-1, 1);
  } else {
    first = x.narrow(-1, 0, half), second = x.narrow(-1, half, half);
  }
  const Tensor turned_first = first * cosine - second * sine, turned_second = second * cosine + first * sine;
  const Tensor turned = adjacent ? torch::stack({turned_first, turned_second}, -1).flatten(-2)
                                 : torch::cat({turned_first, turned_second}, -1);
  return rest == 0 ? turned : torch::cat({turned, x.narrow(-1, 2 * half, rest)}, -1);
}

}  // namespace tessera

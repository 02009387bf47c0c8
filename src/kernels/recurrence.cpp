#include "kernels/recurrence.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <functional>

#include "kernels/cpu/convolve.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/recur.h"

namespace tessera {

using torch::Tensor;

namespace {

/// Calls work(first, count) for every group of channels.
void by_channels(int64_t channels, int64_t times,
                 const std::function<void(int64_t item, int64_t first, int64_t count)>& work) {
  const int64_t groups = (channels + cpu::kChannels - 1) / cpu::kChannels;
  cpu::in_parallel(times * groups, [&](int64_t item) {
    const int64_t first = item % groups * cpu::kChannels;
    work(item / groups, first, std::min(cpu::kChannels, channels - first));
  });
}

}  // namespace

Tensor sums_of_powers(const Tensor& coefficient, const Tensor& log_ratio, int64_t length) {
  constexpr int64_t kFromOne = 256;  // powers that are made from each other, before the rounding is felt
  const torch::NoGradGuard no_gradient;
  const auto part = [&](const Tensor& numbers) { return numbers.expand_as(coefficient).t().contiguous(); };  // N x H
  const Tensor ratio = torch::exp(log_ratio), ratio_real = part(torch::real(ratio)),
               ratio_imaginary = part(torch::imag(ratio));
  const int64_t channels = coefficient.size(0);
  Tensor result = torch::empty({length, channels}, ratio_real.options());
  for (int64_t begin = 0; begin < length; begin += kFromOne) {
    const Tensor start = begin == 0 ? coefficient : coefficient * torch::exp(log_ratio * static_cast<double>(begin));
    const Tensor real = part(torch::real(start)), imaginary = part(torch::imag(start));
    by_channels(channels, 1, [&](int64_t, int64_t first, int64_t count) {
      cpu::sum_powers({.real = real.data_ptr<float>() + first,
                       .imaginary = imaginary.data_ptr<float>() + first,
                       .ratio_real = ratio_real.data_ptr<float>() + first,
                       .ratio_imaginary = ratio_imaginary.data_ptr<float>() + first,
                       .terms = coefficient.size(1),
                       .length = std::min(kFromOne, length - begin),
                       .step = channels,
                       .channels = count},
                      result.data_ptr<float>() + begin * channels + first);
    });
  }
  return result.t();
}

Tensor fused_selective_scan(const Tensor& given, const Tensor& steps, const Tensor& decay, const Tensor& input,
                            const Tensor& output, Tensor& state) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = given.contiguous(), dt = steps.contiguous(), a = decay.t().contiguous(), b = input.contiguous(),
               c = output.contiguous();
  const int64_t batch = x.size(0), length = x.size(1), channels = x.size(2), groups = b.size(2), states = b.size(3);
  const int64_t each = channels / groups;
  Tensor memory = state.transpose(1, 2).clone(torch::MemoryFormat::Contiguous);  // B x N x D
  Tensor y = torch::empty(x.sizes(), x.options());
  by_channels(each, batch * groups, [&](int64_t item, int64_t first, int64_t count) {
    const int64_t row = item / groups, group = item % groups, channel = group * each + first;
    const int64_t start = row * length * channels + channel, selection = (row * length * groups + group) * states;
    cpu::scan({.x = x.data_ptr<float>() + start,
               .dt = dt.data_ptr<float>() + start,
               .a = a.data_ptr<float>() + channel,
               .b = b.data_ptr<float>() + selection,
               .c = c.data_ptr<float>() + selection,
               .length = length,
               .states = states,
               .step = channels,
               .selection_step = groups * states,
               .channels = count},
              memory.data_ptr<float>() + row * states * channels + channel, y.data_ptr<float>() + start);
  });
  state = memory.transpose(1, 2);
  return y;
}

Tensor weighted_means(const Tensor& given_key, const Tensor& given_value, const Tensor& given_decay,
                      const Tensor& given_bonus) {
  const torch::NoGradGuard no_gradient;
  const Tensor key = given_key.contiguous(), value = given_value.contiguous(), decay = given_decay.contiguous(),
               bonus = given_bonus.contiguous();
  const int64_t length = key.size(1), channels = key.size(2);
  Tensor result = torch::empty(key.sizes(), key.options());
  by_channels(channels, key.size(0), [&](int64_t row, int64_t first, int64_t count) {
    const int64_t start = row * length * channels + first;
    cpu::average({.key = key.data_ptr<float>() + start,
                  .value = value.data_ptr<float>() + start,
                  .decay = decay.data_ptr<float>() + first,
                  .bonus = bonus.data_ptr<float>() + first,
                  .length = length,
                  .step = channels,
                  .channels = count},
                 result.data_ptr<float>() + start);
  });
  return result;
}

DecayedScores decay_scores(const Tensor& scores, const Tensor& given_entered, const Tensor& given_before) {
  const torch::NoGradGuard no_gradient;
  const Tensor entered = given_entered.contiguous(), before = given_before.contiguous();
  const int64_t length = scores.size(3);
  const DecayedScores result{torch::empty(entered.sizes(), entered.options()),
                             torch::empty(entered.sizes(), entered.options())};
  cpu::in_parallel(before.numel(), [&](int64_t head) {
    const auto* gates = entered.data_ptr<float>() + head * length;
    auto* rows = scores.data_ptr<float>() + head * length * length;
    float top = before.data_ptr<float>()[head];
    for (int64_t i = 0; i < length; ++i) {
      top = std::max(top, gates[i]);
      result.tops.data_ptr<float>()[head * length + i] = top;
      result.sums.data_ptr<float>()[head * length + i] = cpu::decay(gates, top, i + 1, rows + i * length);
      std::fill(rows + i * length + i + 1, rows + (i + 1) * length, 0.0F);
    }
  });
  return result;
}

}  // namespace tessera

#include "kernels/recurrence.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "core/parallel.h"
#include "kernels/cpu/convolve.h"
#include "kernels/cpu/recur.h"

namespace tessera {

using torch::Tensor;

namespace {

/// Calls work(first, count) for every group of channels.
void by_channels(int64_t channels, int64_t times,
                 const std::function<void(int64_t item, int64_t first, int64_t count)>& work) {
  const int64_t groups = (channels + cpu::kChannels - 1) / cpu::kChannels;
  in_parallel(times * groups, [&](int64_t item) {
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

namespace {

int64_t kept_blocks(int64_t length) { return (length + cpu::kKeptTokens - 1) / cpu::kKeptTokens; }

float* numbers(const Tensor& x, int64_t at = 0) { return x.data_ptr<float>() + at; }

/// What a scan reads, in the order of its kernel: channels are last.
struct Scan {
  Tensor x, dt, a, b, c;
  int64_t batch = x.size(0), length = x.size(1), channels = x.size(2), groups = b.size(2), states = b.size(3);
  int64_t each = channels / groups;  // channels of a group

  Scan(const Tensor& given, const Tensor& steps, const Tensor& decay, const Tensor& input, const Tensor& output)
      : x(given.contiguous()),
        dt(steps.contiguous()),
        a(decay.t().contiguous()),
        b(input.contiguous()),
        c(output.contiguous()) {}

  /// Some channels of a group in one item of the batch.
  struct Part {
    cpu::SelectiveScan call;
    int64_t token, state, kept, selection;  // where they begin in x, in the states, in what is kept, in b
    int64_t first;                          // of the group's channels
  };
  Part part(int64_t row, int64_t group, int64_t first, int64_t count) const {
    const int64_t channel = group * each + first;
    Part p{.token = row * length * channels + channel,
           .state = row * states * channels + channel,
           .kept = row * kept_blocks(length) * states * channels + channel,
           .selection = (row * length * groups + group) * states,
           .first = first};
    p.call = {.x = numbers(x, p.token),
              .dt = numbers(dt, p.token),
              .a = numbers(a, channel),
              .b = numbers(b, p.selection),
              .c = numbers(c, p.selection),
              .length = length,
              .states = states,
              .step = channels,
              .selection_step = groups * states,
              .channels = count,
              .one_decay = a.size(0) == 1 && states > 1};
    return p;
  }
  void each_part(const std::function<void(const Part&)>& work) const {
    by_channels(each, batch * groups, [&](int64_t item, int64_t first, int64_t count) {
      work(part(item / groups, item % groups, first, count));
    });
  }
};

/// B x D x N as B x N x D of its own.
Tensor by_state(const Tensor& state) { return state.transpose(1, 2).clone(torch::MemoryFormat::Contiguous); }

}  // namespace

Tensor fused_selective_scan(const Tensor& x, const Tensor& dt, const Tensor& a, const Tensor& b, const Tensor& c,
                            Tensor& state, Tensor* kept) {
  const torch::NoGradGuard no_gradient;
  const Scan scan(x, dt, a, b, c);
  if (kept && scan.a.size(0) != scan.states) throw std::logic_error("one decay a channel has no gradients");
  const Tensor memory = by_state(state), y = torch::empty(x.sizes(), x.options());
  if (kept) *kept = torch::empty({scan.batch, kept_blocks(scan.length), scan.states, scan.channels}, x.options());
  scan.each_part([&](const Scan::Part& part) {
    cpu::scan(part.call, numbers(memory, part.state), numbers(y, part.token),
              kept ? numbers(*kept, part.kept) : nullptr);
  });
  state = memory.transpose(1, 2);
  return y;
}

SelectiveScanGradients selective_scan_gradients(const Tensor& x, const Tensor& dt, const Tensor& a, const Tensor& b,
                                                const Tensor& c, const Tensor& kept, const Tensor& given_to_y,
                                                const Tensor& given_to_state) {
  const torch::NoGradGuard no_gradient;
  const Scan scan(x, dt, a, b, c);
  const Tensor to_y = given_to_y.contiguous(), to_state = by_state(given_to_state);
  const Tensor to_x = torch::empty(x.sizes(), x.options()), to_dt = torch::empty(x.sizes(), x.options());
  // Parts that work side by side have sums of their own: of a for each row, of b and c for some channels.
  const int64_t pieces = (scan.each + cpu::kChannels - 1) / cpu::kChannels, piece = scan.b.numel();
  const Tensor to_a = torch::zeros({scan.batch, scan.states, scan.channels}, x.options());
  const Tensor to_b = torch::zeros({pieces, piece}, x.options()), to_c = torch::zeros({pieces, piece}, x.options());
  scan.each_part([&](const Scan::Part& part) {
    const int64_t selection = part.first / cpu::kChannels * piece + part.selection;
    cpu::scan_gradient(part.call, numbers(kept, part.kept), numbers(to_y, part.token), numbers(to_state, part.state),
                       {.to_x = numbers(to_x, part.token),
                        .to_dt = numbers(to_dt, part.token),
                        .to_a = numbers(to_a, part.state),
                        .to_b = numbers(to_b, selection),
                        .to_c = numbers(to_c, selection)});
  });
  return {
      to_x, to_dt, to_a.sum(0).t(), to_b.sum(0).view(b.sizes()), to_c.sum(0).view(c.sizes()), to_state.transpose(1, 2)};
}

namespace {

struct Means {
  Tensor key, value, decay, bonus;  // contiguous
  int64_t batch = key.size(0), length = key.size(1), channels = key.size(2);

  /// work(call, and where it begins in the tokens, in what is kept, in the numbers that each row has of its own)
  void each_part(
      const std::function<void(const cpu::WeightedMeans&, int64_t token, int64_t kept, int64_t row)>& work) const {
    by_channels(channels, batch, [&](int64_t row, int64_t first, int64_t count) {
      const int64_t token = row * length * channels + first;
      work({.key = numbers(key, token),
            .value = numbers(value, token),
            .decay = numbers(decay, first),
            .bonus = numbers(bonus, first),
            .length = length,
            .step = channels,
            .channels = count},
           token, row * kept_blocks(length) * 3 * channels + first, row * channels + first);
    });
  }
};

}  // namespace

Tensor weighted_means(const Tensor& key, const Tensor& value, const Tensor& decay, const Tensor& bonus, Tensor* kept) {
  const torch::NoGradGuard no_gradient;
  const Means means{key.contiguous(), value.contiguous(), decay.contiguous(), bonus.contiguous()};
  const Tensor result = torch::empty(key.sizes(), key.options());
  if (kept) *kept = torch::empty({means.batch, kept_blocks(means.length), 3, means.channels}, key.options());
  means.each_part([&](const cpu::WeightedMeans& call, int64_t token, int64_t at, int64_t) {
    cpu::average(call, numbers(result, token), kept ? numbers(*kept, at) : nullptr);
  });
  return result;
}

WeightedMeansGradients weighted_means_gradients(const Tensor& key, const Tensor& value, const Tensor& decay,
                                                const Tensor& bonus, const Tensor& kept, const Tensor& given_to_out) {
  const torch::NoGradGuard no_gradient;
  const Means means{key.contiguous(), value.contiguous(), decay.contiguous(), bonus.contiguous()};
  const Tensor to_out = given_to_out.contiguous();
  const Tensor to_key = torch::empty(key.sizes(), key.options()), to_value = torch::empty(key.sizes(), key.options());
  const Tensor to_decay = torch::zeros({means.batch, means.channels}, key.options()),
               to_bonus = torch::zeros({means.batch, means.channels}, key.options());
  means.each_part([&](const cpu::WeightedMeans& call, int64_t token, int64_t at, int64_t row) {
    cpu::average_gradient(call, numbers(kept, at), numbers(to_out, token),
                          {.to_key = numbers(to_key, token),
                           .to_value = numbers(to_value, token),
                           .to_decay = numbers(to_decay, row),
                           .to_bonus = numbers(to_bonus, row)});
  });
  return {to_key, to_value, to_decay.sum(0).view(decay.sizes()), to_bonus.sum(0).view(bonus.sizes())};
}

DecayedScores decay_scores(const Tensor& scores, const Tensor& given_entered, const Tensor& given_before) {
  const torch::NoGradGuard no_gradient;
  const Tensor entered = given_entered.contiguous(), before = given_before.contiguous();
  const int64_t length = scores.size(3);
  const DecayedScores result{torch::empty(entered.sizes(), entered.options()),
                             torch::empty(entered.sizes(), entered.options())};
  in_parallel(before.numel(), [&](int64_t head) {
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

#include "kernels/cpu/recur.h"
#include "kernels/cpu/scratch.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/recur_gradient.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/recur-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// Calls work(first token, count) for every block, the last one first.
template <class Work>
HWY_INLINE void from_the_end(int64_t length, const Work& work) {
  for (int64_t end = length; end > 0;) {
    const int64_t begin = (end - 1) / cpu::kKeptTokens * cpu::kKeptTokens;
    work(begin, end - begin);
    end = begin;
  }
}

/// The memory of a scan's gradient, each a vector for every state.
struct ScanMemory {
  float *rates, *to_rates, *to_state;
  float* states;  // before each token of a block, and after the last
  float* decays;  // of each token

  ScanMemory(cpu::Scratch& scratch, int64_t size)
      : rates(scratch.of<float>(static_cast<size_t>((2 * cpu::kKeptTokens + 4) * size))),
        to_rates(rates + size),
        to_state(to_rates + size),
        states(to_state + size),
        decays(states + (cpu::kKeptTokens + 1) * size) {}
};

/// The decays of a block and the states after its tokens, from the states before it.
HWY_INLINE void scan_again(const cpu::SelectiveScan& call, const Part& part, int64_t begin, int64_t count,
                           const ScanMemory& memory) {
  const auto width = static_cast<int64_t>(lanes()), size = call.states * width;
  float *h = memory.states, *decays = memory.decays;
  for (int64_t t = begin; t < begin + count; ++t, h += size, decays += size) {
    const Vector dt = part.read(call.dt + t * call.step), gain = hn::Mul(dt, part.read(call.x + t * call.step));
    for (int64_t n = 0; n < call.states; ++n) {
      const Vector decay = exponential(hn::Mul(dt, load(memory.rates + n * width)));
      const Vector gained = hn::Mul(gain, of(call.b[t * call.selection_step + n]));
      store(decay, decays + n * width);
      store(hn::MulAdd(decay, load(h + n * width), gained), h + size + n * width);
    }
  }
}

HWY_INLINE void add_lanes(Vector x, float& sum) { sum += hn::GetLane(hn::SumOfLanes(Floats(), x)); }

/// What the gradient of y at token t and of the states after it makes of everything that the token brought.
/// @param at  of the token in its block
HWY_INLINE void scan_back(const cpu::SelectiveScan& call, const Part& part, int64_t t, int64_t at, Vector to_y,
                          const ScanMemory& memory, const cpu::SelectiveScanSums& sums) {
  const auto width = static_cast<int64_t>(lanes()), size = call.states * width;
  const int64_t row = t * call.step, selection = t * call.selection_step;
  const float *before = memory.states + at * size, *decays = memory.decays + at * size;
  const Vector dt = part.read(call.dt + row), x = part.read(call.x + row), gain = hn::Mul(dt, x);
  Vector to_gain = hn::Zero(Floats()), to_dt = hn::Zero(Floats());
  for (int64_t n = 0; n < call.states; ++n) {
    const int64_t lane = n * width;
    const Vector to_after = hn::MulAdd(to_y, of(call.c[selection + n]), load(memory.to_state + lane));
    add_lanes(hn::Mul(to_y, load(before + size + lane)), sums.to_c[selection + n]);
    add_lanes(hn::Mul(to_after, gain), sums.to_b[selection + n]);
    to_gain = hn::MulAdd(to_after, of(call.b[selection + n]), to_gain);
    const Vector to_before = hn::Mul(to_after, load(decays + lane));
    const Vector to_exponent = hn::Mul(to_before, load(before + lane));
    to_dt = hn::MulAdd(to_exponent, load(memory.rates + lane), to_dt);
    store(hn::MulAdd(to_exponent, dt, load(memory.to_rates + lane)), memory.to_rates + lane);
    store(to_before, memory.to_state + lane);
  }
  part.write(hn::Mul(to_gain, dt), sums.to_x + row);
  part.write(hn::MulAdd(to_gain, x, to_dt), sums.to_dt + row);
}

void selective_scan_gradient(const cpu::SelectiveScan& call, const float* kept, const float* to_y, float* to_state,
                             const cpu::SelectiveScanSums& sums) {
  thread_local cpu::Scratch scratch;
  const auto width = static_cast<int64_t>(lanes());
  const ScanMemory memory(scratch, call.states * width);
  by_parts(call.channels, [&](const Part& part) HWY_ATTR {
    for (int64_t n = 0; n < call.states; ++n) {
      store(part.read(call.a + n * call.step), memory.rates + n * width);
      store(part.read(sums.to_a + n * call.step), memory.to_rates + n * width);
      store(part.read(to_state + n * call.step), memory.to_state + n * width);
    }
    from_the_end(call.length, [&](int64_t begin, int64_t count) HWY_ATTR {
      const float* states = kept + begin / cpu::kKeptTokens * call.states * call.step;
      for (int64_t n = 0; n < call.states; ++n) store(part.read(states + n * call.step), memory.states + n * width);
      scan_again(call, part, begin, count, memory);
      for (int64_t t = begin + count - 1; t >= begin; --t)
        scan_back(call, part, t, t - begin, part.read(to_y + t * call.step), memory, sums);
    });
    for (int64_t n = 0; n < call.states; ++n) {
      part.write(load(memory.to_rates + n * width), sums.to_a + n * call.step);
      part.write(load(memory.to_state + n * width), to_state + n * call.step);
    }
  });
}

/// What later means make of a mean's two sums, both times exp(scale).
struct ToMean {
  Vector values, weights, scale;

  /// With what another mean makes of them, times exp(other).
  HWY_INLINE ToMean with(Vector to_values, Vector to_weights, Vector other) const {
    const Vector largest = hn::Max(scale, other), kept = exponential(hn::Sub(scale, largest)),
                 entered = exponential(hn::Sub(other, largest));
    return {hn::MulAdd(kept, values, hn::Mul(entered, to_values)),
            hn::MulAdd(kept, weights, hn::Mul(entered, to_weights)), largest};
  }
};

/// One channel vector of weighted_mean_gradient(), from the last token to the first.
struct MeansBack {
  const cpu::WeightedMeans& call;
  const Part& part;
  Vector decay, bonus, to_decay, to_bonus;
  ToMean later;

  /// @param before  the mean before the token
  HWY_INLINE void token(int64_t row, const Mean& before, Vector to_out, const cpu::WeightedMeansSums& sums) {
    const Vector key = part.read(call.key + row), value = part.read(call.value + row);
    const Vector raised = hn::Add(key, bonus);
    const Mean seen = before.with(value, raised);
    const Vector mean = hn::Div(seen.values, seen.weights), to_sum = hn::Div(to_out, seen.weights);
    const Vector to_newest = hn::Mul(to_sum, exponential(hn::Sub(raised, seen.scale)));
    const Vector to_raised = hn::Mul(to_newest, hn::Sub(value, mean));
    const Vector entered = exponential(hn::Add(key, later.scale));  // as later means weigh the token
    const Vector to_entered = hn::MulAdd(later.values, value, later.weights);
    part.write(hn::MulAdd(entered, to_entered, to_raised), sums.to_key + row);
    part.write(hn::MulAdd(entered, later.values, to_newest), sums.to_value + row);
    to_bonus = hn::Add(to_bonus, to_raised);
    later.scale = hn::Sub(later.scale, decay);
    const Vector left = exponential(hn::Add(before.scale, later.scale));  // and as all before it
    const Vector to_left = hn::MulAdd(later.values, before.values, hn::Mul(later.weights, before.weights));
    to_decay = hn::NegMulAdd(left, to_left, to_decay);
    later = later.with(to_sum, hn::Neg(hn::Mul(to_sum, mean)), hn::Neg(seen.scale));
  }
};

void weighted_mean_gradient(const cpu::WeightedMeans& call, const float* kept, const float* to_out,
                            const cpu::WeightedMeansSums& sums) {
  by_parts(call.channels, [&](const Part& part) HWY_ATTR {
    const Vector none = hn::Zero(Floats());
    MeansBack back{call,
                   part,
                   part.read(call.decay),
                   part.read(call.bonus),
                   part.read(sums.to_decay),
                   part.read(sums.to_bonus),
                   {none, none, of(-1e38F)}};
    from_the_end(call.length, [&](int64_t begin, int64_t count) HWY_ATTR {
      Mean before[cpu::kKeptTokens];
      before[0] = Mean::read(part, kept + begin / cpu::kKeptTokens * 3 * call.step, call.step);
      for (int64_t i = 1; i < count; ++i) {
        const int64_t row = (begin + i - 1) * call.step;
        before[i] = before[i - 1];
        before[i].scale = hn::Sub(before[i].scale, back.decay);
        before[i] = before[i].with(part.read(call.value + row), part.read(call.key + row));
      }
      for (int64_t i = count - 1; i >= 0; --i) {
        const int64_t row = (begin + i) * call.step;
        back.token(row, before[i], part.read(to_out + row), sums);
      }
    });
    part.write(back.to_decay, sums.to_decay);
    part.write(back.to_bonus, sums.to_bonus);
  });
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(selective_scan_gradient);
HWY_EXPORT(weighted_mean_gradient);
namespace cpu {
void scan_gradient(const SelectiveScan& call, const float* kept, const float* to_y, float* to_state,
                   const SelectiveScanSums& sums) {
  HWY_DYNAMIC_DISPATCH(selective_scan_gradient)(call, kept, to_y, to_state, sums);
}
void average_gradient(const WeightedMeans& call, const float* kept, const float* to_out,
                      const WeightedMeansSums& sums) {
  HWY_DYNAMIC_DISPATCH(weighted_mean_gradient)(call, kept, to_out, sums);
}
}  // namespace cpu
}  // namespace tessera
#endif

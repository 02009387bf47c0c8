#include "kernels/cpu/recur.h"

#include "kernels/cpu/scratch.h"

// Terms are in registers where the loops over them are written out.
#undef TESSERA_UNROLL
#define TESSERA_UNROLL _Pragma("GCC unroll 8")

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/recur.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/recur-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// Adds `together` terms, whose powers do not wait for each other.
template <int together>
HWY_INLINE void add_powers(const cpu::PowerSums& call, const Part& part, int64_t term, float* out) {
  Vector real[together], imaginary[together], ratio[together], ratio_imaginary[together];
  TESSERA_UNROLL
  for (int i = 0; i < together; ++i) {
    const int64_t row = (term + i) * call.step;
    real[i] = part.read(call.real + row), imaginary[i] = part.read(call.imaginary + row);
    ratio[i] = part.read(call.ratio_real + row), ratio_imaginary[i] = part.read(call.ratio_imaginary + row);
  }
  for (int64_t t = 0; t < call.length; ++t, out += call.step) {
    Vector sum = part.read(out);
    TESSERA_UNROLL
    for (int i = 0; i < together; ++i) {
      sum = hn::Add(sum, real[i]);
      const Vector turned = hn::Mul(real[i], ratio_imaginary[i]);
      real[i] = hn::NegMulAdd(imaginary[i], ratio_imaginary[i], hn::Mul(real[i], ratio[i]));
      imaginary[i] = hn::MulAdd(imaginary[i], ratio[i], turned);
    }
    part.write(sum, out);
  }
}

void power_sums(const cpu::PowerSums& call, float* out) {
  by_parts(call.channels, [&](const Part& part) HWY_ATTR {
    for (int64_t t = 0; t < call.length; ++t) part.write(hn::Zero(Floats()), out + t * call.step);
    int64_t term = 0;
    for (; term + 4 <= call.terms; term += 4) add_powers<4>(call, part, term, out);
    for (; term < call.terms; ++term) add_powers<1>(call, part, term, out);
  });
}

/// One token of a scan. @return y
template <bool one_decay>
HWY_INLINE Vector scan_token(const cpu::SelectiveScan& call, const float* decays, const float* b, const float* c,
                             Vector dt, Vector gain, float* h) {
  const auto width = static_cast<int64_t>(lanes());
  const auto decay_of = [&](int64_t n) HWY_ATTR { return exponential(hn::Mul(dt, load(decays + n * width))); };
  const Vector shared = one_decay ? decay_of(0) : hn::Zero(Floats());
  Vector sums[2] = {hn::Zero(Floats()), hn::Zero(Floats())};  // which do not wait for each other
  for (int64_t n = 0; n < call.states; ++n) {
    const Vector next = hn::MulAdd(one_decay ? shared : decay_of(n), load(h + n * width), hn::Mul(gain, of(b[n])));
    store(next, h + n * width);
    sums[n % 2] = hn::MulAdd(next, of(c[n]), sums[n % 2]);
  }
  return hn::Add(sums[0], sums[1]);
}

void selective_scan(const cpu::SelectiveScan& call, float* state, float* y, float* kept) {
  thread_local cpu::Scratch memory;
  const auto width = static_cast<int64_t>(lanes());
  float* decays = memory.of<float>(static_cast<size_t>(2 * call.states * width));
  float* h = decays + call.states * width;
  by_parts(call.channels, [&](const Part& part) HWY_ATTR {
    for (int64_t n = 0; n < call.states; ++n) {
      if (n == 0 || !call.one_decay) store(part.read(call.a + n * call.step), decays + n * width);
      store(part.read(state + n * call.step), h + n * width);
    }
    const float *b = call.b, *c = call.c;
    for (int64_t t = 0; t < call.length; ++t, b += call.selection_step, c += call.selection_step) {
      if (kept && t % cpu::kKeptTokens == 0)
        for (int64_t n = 0; n < call.states; ++n)
          part.write(load(h + n * width), kept + (t / cpu::kKeptTokens * call.states + n) * call.step);
      const Vector dt = part.read(call.dt + t * call.step), gain = hn::Mul(dt, part.read(call.x + t * call.step));
      part.write(call.one_decay ? scan_token<true>(call, decays, b, c, dt, gain, h)
                                : scan_token<false>(call, decays, b, c, dt, gain, h),
                 y + t * call.step);
    }
    for (int64_t n = 0; n < call.states; ++n) part.write(load(h + n * width), state + n * call.step);
  });
}

void weighted_mean(const cpu::WeightedMeans& call, float* out, float* kept) {
  by_parts(call.channels, [&](const Part& part) HWY_ATTR {
    const Vector decay = part.read(call.decay), bonus = part.read(call.bonus);
    Mean mean{hn::Zero(Floats()), hn::Zero(Floats()), of(-1e38F)};
    for (int64_t t = 0; t < call.length; ++t) {
      if (kept && t % cpu::kKeptTokens == 0) mean.write(part, kept + t / cpu::kKeptTokens * 3 * call.step, call.step);
      const Vector key = part.read(call.key + t * call.step), value = part.read(call.value + t * call.step);
      const Mean seen = mean.with(value, hn::Add(key, bonus));
      part.write(hn::Div(seen.values, seen.weights), out + t * call.step);
      mean.scale = hn::Sub(mean.scale, decay);
      mean = mean.with(value, key);
    }
  });
}

float decay_row(const float* entered, float top, int64_t count, float* scores) {
  Vector sum = hn::Zero(Floats());
  by_parts(count, [&](const Part& part) HWY_ATTR {
    const Vector decay = exponential(hn::Sub(part.read(entered), of(top))), score = hn::Mul(part.read(scores), decay);
    part.write(score, scores);
    sum = hn::Add(sum, score);
  });
  return hn::GetLane(hn::SumOfLanes(Floats(), sum));
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(power_sums);
HWY_EXPORT(selective_scan);
HWY_EXPORT(weighted_mean);
HWY_EXPORT(decay_row);
namespace cpu {
void sum_powers(const PowerSums& call, float* out) { HWY_DYNAMIC_DISPATCH(power_sums)(call, out); }
void scan(const SelectiveScan& call, float* state, float* y, float* kept) {
  HWY_DYNAMIC_DISPATCH(selective_scan)(call, state, y, kept);
}
void average(const WeightedMeans& call, float* out, float* kept) {
  HWY_DYNAMIC_DISPATCH(weighted_mean)(call, out, kept);
}
float decay(const float* entered, float top, int64_t count, float* scores) {
  return HWY_DYNAMIC_DISPATCH(decay_row)(entered, top, count, scores);
}
}  // namespace cpu
}  // namespace tessera
#endif

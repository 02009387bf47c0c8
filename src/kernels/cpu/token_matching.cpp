#include "kernels/cpu/token_matching.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/token_matching.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

void keep_best_of(const cpu::Products& products, const float* offsets, int64_t first, cpu::BestInLanes* rows) {
  const auto columns = static_cast<size_t>(products.columns);
  for (int64_t row = 0; row < products.rows; ++row) {
    const float* numbers = products.numbers + row * products.stride;
    Vector best = load(rows[row].scores);
    auto target = hn::LoadU(Integers(), rows[row].targets);
    for (size_t at = 0; at < columns; at += lanes()) {
      const Vector score = hn::Add(load(numbers + at), load(offsets + at));
      const auto better = hn::Gt(score, best);  // not for what is no number, nor for what is as good but later
      const auto here = hn::Iota(Integers(), static_cast<int32_t>(first + static_cast<int64_t>(at)));
      best = hn::IfThenElse(better, score, best);
      target = hn::IfThenElse(hn::RebindMask(Integers(), better), here, target);
    }
    store(best, rows[row].scores);
    hn::StoreU(target, Integers(), rows[row].targets);
  }
}

/// The sums of energy(product) go on in the lanes; behind the last column nothing is added.
template <class Energy>
HWY_INLINE void add_each(const cpu::Products& products, const Energy& energy, cpu::SumsInLanes* rows) {
  const auto columns = static_cast<size_t>(products.columns);
  for (int64_t row = 0; row < products.rows; ++row) {
    const float* numbers = products.numbers + row * products.stride;
    Vector sum = load(rows[row].sums);
    size_t at = 0;
    for (; at + lanes() <= columns; at += lanes()) sum = hn::Add(sum, energy(load(numbers + at)));
    if (at < columns)
      sum = hn::Add(sum, hn::IfThenElseZero(hn::FirstN(Floats(), columns - at), energy(load(numbers + at))));
    store(sum, rows[row].sums);
  }
}

void add_energies_of(const cpu::Products& products, const cpu::PairEnergy& energy, cpu::SumsInLanes* rows) {
  const Vector one = of(1), zero = hn::Zero(Floats());
  if (energy.gaussian) {
    const Vector inverse = of(1 / energy.sigma), half = of(-0.5F);
    return add_each(
        products,
        [&](Vector similarity) HWY_ATTR {
          const Vector far = hn::Mul(hn::Sub(one, similarity), inverse);
          return exponential(hn::Mul(hn::Mul(far, far), half));
        },
        rows);
  }
  const Vector margin = of(energy.margin), alpha = of(energy.alpha);
  add_each(
      products,
      [&](Vector similarity) HWY_ATTR {
        const Vector x = hn::Sub(similarity, margin), below = hn::Mul(alpha, hn::Sub(exponential(x), one));
        return hn::IfThenElse(hn::Le(x, zero), below, x);
      },
      rows);
}

void merge_members(const cpu::TokenGroup& group, float* out) {
  const auto token = [&](int64_t i) { return group.x + group.members[i] * group.stride; };
  by_vectors(group.width, [&](const auto& read, const auto& write) HWY_ATTR {
    if (group.largest) {
      Vector most = read(token(0));
      for (int64_t i = 1; i < group.count; ++i) most = hn::Max(most, read(token(i)));
      return write(most, out);
    }
    const auto weighted = [&](int64_t i) HWY_ATTR {
      return group.weights ? hn::Mul(of(group.weights[group.members[i]]), read(token(i))) : read(token(i));
    };
    Vector sum = weighted(0);
    for (int64_t i = 1; i < group.count; ++i) sum = hn::Add(sum, weighted(i));
    write(group.divisor == 1 ? sum : hn::Div(sum, of(group.divisor)), out);
  });
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(keep_best_of);
HWY_EXPORT(add_energies_of);
HWY_EXPORT(merge_members);
namespace cpu {
void keep_best(const Products& products, const float* offsets, int64_t first, BestInLanes* best) {
  HWY_DYNAMIC_DISPATCH(keep_best_of)(products, offsets, first, best);
}
void add_energies(const Products& products, const PairEnergy& energy, SumsInLanes* sums) {
  HWY_DYNAMIC_DISPATCH(add_energies_of)(products, energy, sums);
}
void merge_group(const TokenGroup& group, float* out) { HWY_DYNAMIC_DISPATCH(merge_members)(group, out); }
}  // namespace cpu
}  // namespace tessera
#endif

#include "kernels/cpu/finish.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/finish.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// A vector of one row's sums, scaled and shifted.
template <class T>
HWY_INLINE Vector scaled(const T* sums, size_t column, const cpu::Finish& how, Vector row_scale) {
  Vector x = load(sums + column);
  if (how.column_offset) x = hn::Sub(x, load(how.column_offset + column));
  if (how.row_scale) x = hn::Mul(x, row_scale);
  if (how.column_scale) x = hn::Mul(x, load(how.column_scale + column));
  return how.bias ? hn::Add(x, load(how.bias + column)) : x;
}

template <Nonlinearity kind, class T, class Out>
HWY_NOINLINE void finish_row(const T* sums, int64_t row, size_t columns, const cpu::Finish& how) {
  constexpr size_t kGate = 64;
  Out* out = static_cast<Out*>(how.out) + row * how.out_stride;
  const float* residual = how.residual ? how.residual + row * how.residual_stride : nullptr;
  const Vector row_scale = of(how.row_scale ? how.row_scale[row] : 1.0F);
  for (size_t column = 0; column < columns; column += lanes()) {
    Vector x = activated<kind>(scaled(sums, column, how, row_scale));
    if (how.gated) x = hn::Mul(x, scaled(sums, column + kGate, how, row_scale));
    if (columns - column >= lanes()) {
      if (residual) x = hn::Add(x, load(residual + column));
      store(x, out + column);
    } else {
      if (residual) x = hn::Add(x, load_some(residual + column, columns - column));
      store_some(x, out + column, columns - column);
    }
  }
}

template <class T, class Out>
void finish_rows(const cpu::Sums& sums, int64_t rows, int64_t columns, const cpu::Finish& how) {
  const T* numbers = static_cast<const T*>(sums.numbers);
  with_constant(how.activation, [&]<Nonlinearity kind>() HWY_ATTR {
    for (int64_t row = 0; row < rows; ++row)
      finish_row<kind, T, Out>(numbers + row * sums.stride, row, static_cast<size_t>(columns), how);
  });
}

void finish_tile(const cpu::Sums& sums, int64_t rows, int64_t columns, const cpu::Finish& how) {
  if (sums.integers)
    return how.narrow ? finish_rows<int32_t, hwy::bfloat16_t>(sums, rows, columns, how)
                      : finish_rows<int32_t, float>(sums, rows, columns, how);
  return how.narrow ? finish_rows<float, hwy::bfloat16_t>(sums, rows, columns, how)
                    : finish_rows<float, float>(sums, rows, columns, how);
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(finish_tile);
namespace cpu {
void finish(const Sums& sums, int64_t rows, int64_t columns, const Finish& how) {
  HWY_DYNAMIC_DISPATCH(finish_tile)(sums, rows, columns, how);
}
}  // namespace cpu
}  // namespace tessera
#endif

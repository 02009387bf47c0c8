#include "kernels/cpu/finish.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/finish.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// What is done to the sums of one vector of outputs, in all rows.
struct Column {
  Vector offset, scale, bias;

  HWY_INLINE Column(const cpu::Finish& how, size_t column)
      : offset(how.column_offset ? load(how.column_offset + column) : of(0)),
        scale(how.column_scale ? load(how.column_scale + column) : of(1)),
        bias(how.bias ? load(how.bias + column) : of(0)) {}

  /// Sums of integers have all of it, others seldom more than a bias.
  template <bool scaled>
  HWY_INLINE Vector of_sums(Vector x, float row_scale) const {
    if constexpr (scaled) return hn::MulAdd(hn::Mul(hn::Sub(x, offset), of(row_scale)), scale, bias);
    return hn::Add(x, bias);
  }
};

template <bool scaled, Nonlinearity kind, class T, class Out>
HWY_INLINE void finish_vector(const T* sums, int64_t stride, int64_t row, int64_t rows, size_t column, size_t count,
                              const cpu::Finish& how) {
  constexpr size_t kGate = 64;
  const Column values(how, column), gates(how, how.gated ? column + kGate : column);
  for (int64_t end = row + rows; row < end; ++row) {
    const T* from = sums + row * stride + column;
    const float row_scale = scaled && how.row_scale ? how.row_scale[row] : 1.0F;
    Vector x = activated<kind>(values.of_sums<scaled>(load(from), row_scale));
    if (how.gated) x = hn::Mul(x, gates.of_sums<scaled>(load(from + kGate), row_scale));
    Out* out = static_cast<Out*>(how.out) + row * how.out_stride + column;
    const float* residual = how.residual ? how.residual + row * how.residual_stride + column : nullptr;
    if (count == lanes()) {
      store(residual ? hn::Add(x, load(residual)) : x, out);
    } else {
      store_some(residual ? hn::Add(x, load_some(residual, count)) : x, out, count);
    }
  }
}

template <bool scaled, Nonlinearity kind, class T, class Out>
HWY_NOINLINE void finish_rows(const cpu::Sums& sums, int64_t rows, size_t columns, const cpu::Finish& how) {
  constexpr int64_t kTogether = 8;  // rows whose sums and results are in the first cache
  const T* numbers = static_cast<const T*>(sums.numbers);
  for (int64_t row = 0; row < rows; row += kTogether)
    for (size_t column = 0; column < columns; column += lanes())
      finish_vector<scaled, kind, T, Out>(numbers, sums.stride, row, HWY_MIN(kTogether, rows - row), column,
                                          HWY_MIN(lanes(), columns - column), how);
}

template <class T, class Out>
void finish_sums(const cpu::Sums& sums, int64_t rows, int64_t columns, const cpu::Finish& how) {
  const bool scaled = how.row_scale || how.column_scale || how.column_offset;
  with_constant(how.activation, [&]<Nonlinearity kind>() HWY_ATTR {
    scaled ? finish_rows<true, kind, T, Out>(sums, rows, static_cast<size_t>(columns), how)
           : finish_rows<false, kind, T, Out>(sums, rows, static_cast<size_t>(columns), how);
  });
}

void finish_tile(const cpu::Sums& sums, int64_t rows, int64_t columns, const cpu::Finish& how) {
  if (sums.integers)
    return how.narrow ? finish_sums<int32_t, hwy::bfloat16_t>(sums, rows, columns, how)
                      : finish_sums<int32_t, float>(sums, rows, columns, how);
  return how.narrow ? finish_sums<float, hwy::bfloat16_t>(sums, rows, columns, how)
                    : finish_sums<float, float>(sums, rows, columns, how);
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

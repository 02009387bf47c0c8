#include "io/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "core/error.h"
#include "core/parallel.h"
#include "io/resize_part.h"

// The inner loops are written for the vectoriser; a second version for AVX2 is chosen when the program is loaded.
// The sanitizers do not support the choice.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define TESSERA_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define TESSERA_CLONES
#endif

namespace tessera {
namespace {

double sinc(double x) { return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }

double bicubic(double x) {
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

double support_of(Filter filter) {
  switch (filter) {
    case Filter::kBox:
      return 0.5;
    case Filter::kBicubic:
      return 2;
    case Filter::kLanczos:
      return 3;
    default:
      return 1;
  }
}

double filter_at(Filter filter, double x) {
  if (filter == Filter::kBox) return x > -0.5 && x <= 0.5 ? 1 : 0;
  x = std::abs(x);
  switch (filter) {
    case Filter::kBilinear:
      return x < 1 ? 1 - x : 0;
    case Filter::kHamming:
      return x < 1 ? sinc(x) * (0.54 + 0.46 * std::cos(x * std::numbers::pi)) : 0;
    case Filter::kBicubic:
      return bicubic(x);
    default:
      return x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
}

/// For every target position along one axis: the first source position, and a row of `taps` weights that sum to one.
template <class W>
struct Weights {
  int64_t taps = 0;
  std::vector<int64_t> first, count;
  std::vector<W> weights;
  int bits = 0;  // fractional bits, for integers

  const W* row(int64_t i) const { return weights.data() + i * taps; }
  int64_t end(int64_t i) const { return first[static_cast<size_t>(i)] + count[static_cast<size_t>(i)]; }
};

/// Those of some target positions alone.
template <class W>
Weights<W> some_of(const Weights<W>& all, int64_t begin, int64_t number) {
  const auto part = [&](const auto& list, int64_t each) {
    return std::decay_t<decltype(list)>(list.begin() + begin * each, list.begin() + (begin + number) * each);
  };
  return {all.taps, part(all.first, 1), part(all.count, 1), part(all.weights, all.taps), all.bits};
}

/// The source positions that the weights read: [begin, end).
struct Span {
  int64_t begin, end;
};
template <class W>
Span read_by(const Weights<W>& weights) {
  Span span{weights.first.front(), 0};
  for (size_t i = 0; i < weights.first.size(); ++i) {
    span.begin = std::min(span.begin, weights.first[i]);
    span.end = std::max(span.end, weights.end(static_cast<int64_t>(i)));
  }
  return span;
}

Weights<double> weights_of(int64_t from, int64_t to, Filter filter) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);  // shrinking widens the filter: that is the antialiasing
  const double support = support_of(filter) * stretch;
  Weights<double> all;
  all.taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  all.first.resize(static_cast<size_t>(to));
  all.count.resize(static_cast<size_t>(to));
  all.weights.resize(static_cast<size_t>(to * all.taps));
  for (int64_t i = 0; i < to; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const auto first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
    const auto end = std::min<int64_t>(from, static_cast<int64_t>(center + support + 0.5));
    double* row = all.weights.data() + i * all.taps;
    double sum = 0;
    for (int64_t k = first; k < end; ++k) {
      row[k - first] = filter_at(filter, (static_cast<double>(k) - center + 0.5) * (1 / stretch));
      sum += row[k - first];
    }
    for (int64_t k = first; k < end && sum != 0; ++k) row[k - first] /= sum;
    all.first[static_cast<size_t>(i)] = first;
    all.count[static_cast<size_t>(i)] = end - first;
  }
  return all;
}

int fractional_bits(const Weights<double>& exact, Arithmetic arithmetic) {
  constexpr int kMost = 32 - 8 - 2;
  if (arithmetic == Arithmetic::kPil) return kMost;
  const double largest = *std::max_element(exact.weights.begin(), exact.weights.end());
  int bits = 0;  // the most with which the largest weight fits 16 bits
  while (bits < kMost && static_cast<int>(0.5 + largest * (1 << (bits + 1))) < (1 << 15)) ++bits;
  return bits;
}

Weights<int32_t> fixed_point(const Weights<double>& exact, Arithmetic arithmetic) {
  Weights<int32_t> fixed{exact.taps, exact.first, exact.count, {}, fractional_bits(exact, arithmetic)};
  fixed.weights.reserve(exact.weights.size());
  for (const double weight : exact.weights) {
    const double scaled = weight * (1 << fixed.bits);
    fixed.weights.push_back(static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5));
  }
  return fixed;
}

Weights<float> single(const Weights<double>& exact) {
  return {exact.taps, exact.first, exact.count, std::vector<float>(exact.weights.begin(), exact.weights.end()), 0};
}

inline uint8_t to_pixel(int32_t sum, int bits, uint8_t) {
  return static_cast<uint8_t>(std::clamp(sum >> bits, 0, 255));
}
inline float to_pixel(float sum, int, float) { return sum; }

template <class W>
W half(int bits) {
  return std::is_integral_v<W> && bits > 0 ? static_cast<W>(1 << (bits - 1)) : W{0};
}

template <class T, class W, int kChannels>
inline void resize_row(const T* in, T* out, const Weights<W>& weights, int64_t width) {
  for (int64_t x = 0; x < width; ++x, out += kChannels) {
    const T* pixel = in + weights.first[static_cast<size_t>(x)] * kChannels;
    const W* weight = weights.row(x);
    const int64_t count = weights.count[static_cast<size_t>(x)];
    W sum[kChannels];
    for (int c = 0; c < kChannels; ++c) sum[c] = half<W>(weights.bits);
    for (int64_t k = 0; k < count; ++k, pixel += kChannels) {
      for (int c = 0; c < kChannels; ++c) sum[c] += static_cast<W>(pixel[c]) * weight[k];
    }
    for (int c = 0; c < kChannels; ++c) out[c] = to_pixel(sum[c], weights.bits, T{});
  }
}

template <class T, class W>
void resize_row(const T* in, T* out, const Weights<W>& weights, int64_t width, int64_t channels) {
  switch (channels) {
    case 1:
      return resize_row<T, W, 1>(in, out, weights, width);
    case 3:
      return resize_row<T, W, 3>(in, out, weights, width);
    default:
      return resize_row<T, W, 4>(in, out, weights, width);
  }
}

template <class T, class W>
inline void add_row(const T* in, W weight, W* sums, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sums[i] += static_cast<W>(in[i]) * weight;
}

TESSERA_CLONES void accumulate(const uint8_t* in, int32_t weight, int32_t* sums, int64_t count) {
  add_row(in, weight, sums, count);
}
TESSERA_CLONES void accumulate(const float* in, float weight, float* sums, int64_t count) {
  add_row(in, weight, sums, count);
}

// Columns first, on those source rows alone that the second pass reads.
template <class T, class W>
Raster<T> resize_columns(const Raster<T>& image, Span rows, const Weights<W>& weights) {
  const auto width = static_cast<int64_t>(weights.first.size());
  Raster<T> out(rows.end - rows.begin, width, image.channels);
  constexpr int64_t kTogether = 64;
  in_parallel((out.height + kTogether - 1) / kTogether, [&](int64_t part) {
    for (int64_t y = part * kTogether; y < std::min(out.height, (part + 1) * kTogether); ++y)
      resize_row(image.row(rows.begin + y), out.row(y), weights, width, image.channels);
  });
  return out;
}

/// @param image  the source from row `from` on
template <class T, class W>
Raster<T> resize_rows(const Raster<T>& image, int64_t from, const Weights<W>& weights) {
  Raster<T> out(static_cast<int64_t>(weights.first.size()), image.width, image.channels);
  const int64_t count = image.width * image.channels;
  std::vector<W> sums(static_cast<size_t>(count));
  for (int64_t y = 0; y < out.height; ++y) {
    std::fill(sums.begin(), sums.end(), half<W>(weights.bits));
    const int64_t first = weights.first[static_cast<size_t>(y)] - from;
    for (int64_t k = 0; k < weights.count[static_cast<size_t>(y)]; ++k) {
      accumulate(image.row(first + k), weights.row(y)[k], sums.data(), count);
    }
    T* row = out.row(y);
    for (int64_t i = 0; i < count; ++i) row[i] = to_pixel(sums[static_cast<size_t>(i)], weights.bits, T{});
  }
  return out;
}

template <class T>
Raster<T> cut(const Raster<T>& image, Span rows, int64_t left, int64_t width) {
  Raster<T> out(rows.end - rows.begin, width, image.channels);
  for (int64_t y = 0; y < out.height; ++y)
    std::copy_n(image.row(rows.begin + y) + left * image.channels, width * image.channels, out.row(y));
  return out;
}

template <class T>
Raster<T> nearest(const Raster<T>& image, int64_t height, int64_t width, const Part& part) {
  Raster<T> out(part.height, part.width, image.channels);
  const auto source = [](int64_t i, int64_t from, int64_t to) {
    const double at = (static_cast<double>(i) + 0.5) * (static_cast<double>(from) / static_cast<double>(to));
    return std::min(from - 1, static_cast<int64_t>(at));
  };
  for (int64_t y = 0; y < part.height; ++y) {
    const T* row = image.row(source(part.top + y, image.height, height));
    for (int64_t x = 0; x < part.width; ++x) {
      const T* pixel = row + source(part.left + x, image.width, width) * image.channels;
      std::copy_n(pixel, image.channels, &out.at(y, x, 0));
    }
  }
  return out;
}

void check_part(int64_t height, int64_t width, const Part& part) {
  if (height <= 0 || width <= 0) throw Error("the size must be positive", "resize", "give a height and width above 0");
  if (part.height <= 0 || part.width <= 0) throw Error("the part is empty", "resize");
  if (part.top < 0 || part.left < 0 || part.height > height - part.top || part.width > width - part.left)
    throw Error("the part reaches outside of the picture", "resize", "crop the whole picture instead");
}

template <class T, class MakeWeights>
Raster<T> resample(const Raster<T>& image, int64_t height, int64_t width, const Part& part, Filter filter,
                   MakeWeights&& make) {
  if (image.empty()) throw Error("an empty picture cannot be resized", "resize");
  check_part(height, width, part);
  const Span kept{part.top, part.top + part.height};
  if (height == image.height && width == image.width) return cut(image, kept, part.left, part.width);
  if (filter == Filter::kNearest) return nearest(image, height, width, part);
  // Weights are made of the whole axis: in fixed point, their precision depends on the largest of all.
  const auto columns = [&](Span rows) {
    if (width == image.width) return cut(image, rows, part.left, part.width);
    return resize_columns(image, rows, some_of(make(weights_of(image.width, width, filter)), part.left, part.width));
  };
  if (height == image.height) return columns(kept);
  const auto rows = some_of(make(weights_of(image.height, height, filter)), part.top, part.height);
  const Span read = read_by(rows);
  return resize_rows(columns(read), read.begin, rows);
}

constexpr struct {
  const char* name;
  Filter filter;
} kFilters[] = {{"nearest", Filter::kNearest}, {"lanczos", Filter::kLanczos}, {"bilinear", Filter::kBilinear},
                {"bicubic", Filter::kBicubic}, {"box", Filter::kBox},         {"hamming", Filter::kHamming}};

}  // namespace

std::optional<Filter> filter_of(const std::string& name) {
  for (const auto& entry : kFilters) {
    if (name == entry.name) return entry.filter;
  }
  return std::nullopt;
}

const char* filter_name(Filter filter) { return kFilters[static_cast<size_t>(filter)].name; }

Image resize_part(const Image& image, int64_t height, int64_t width, const Part& part, Filter filter,
                  Arithmetic arithmetic) {
  return resample(image, height, width, part, filter,
                  [&](const Weights<double>& exact) { return fixed_point(exact, arithmetic); });
}

Image resize(const Image& image, int64_t height, int64_t width, Filter filter, Arithmetic arithmetic) {
  return resize_part(image, height, width, {0, 0, height, width}, filter, arithmetic);
}

FloatImage resize(const FloatImage& image, int64_t height, int64_t width, Filter filter) {
  return resample(image, height, width, {0, 0, height, width}, filter, single);
}

}  // namespace tessera

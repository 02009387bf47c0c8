#include "kernels/adamw.h"

#include <algorithm>

#include "core/parallel.h"
#include "kernels/cpu/moments.h"

namespace tessera {

void adamw_step(torch::Tensor& parameter, const torch::Tensor& gradient, torch::Tensor& mean, torch::Tensor& square,
                const AdamWStep& step) {
  constexpr int64_t kEach = 16 * 1024;  // numbers that a thread takes at once
  const int64_t count = parameter.numel();
  float *weights = parameter.data_ptr<float>(), *first = mean.data_ptr<float>(), *second = square.data_ptr<float>();
  const float* slopes = gradient.data_ptr<float>();
  in_parallel((count + kEach - 1) / kEach, [&](int64_t part) {
    const int64_t at = part * kEach;
    cpu::move_weights({weights + at, slopes + at, first + at, second + at, std::min(kEach, count - at)}, step);
  });
}

}  // namespace tessera

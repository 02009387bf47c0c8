#include "kernels/cross_entropy.h"

#include <ATen/Functions.h>

#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "kernels/cpu/cross_entropy.h"

namespace tessera {

using torch::Tensor;

CrossEntropy cross_entropy(const Tensor& given, const Tensor& of, double factor) {
  const torch::NoGradGuard no_gradient;
  const Tensor logits = given.contiguous(), labels = of.contiguous();
  const int64_t rows = logits.size(0), classes = logits.size(1), bytes = classes * logits.element_size();
  CrossEntropy made{0, torch::empty_like(logits)};
  std::vector<float> losses(static_cast<size_t>(rows));
  in_parallel(rows, [&](int64_t row) {
    const int64_t label = labels.data_ptr<int64_t>()[row];
    char* gradient = static_cast<char*>(made.gradient.data_ptr()) + row * bytes;
    if (label < 0) {
      std::memset(gradient, 0, static_cast<size_t>(bytes));
      return;
    }
    if (label >= classes)
      throw Error("is not below " + std::to_string(classes), "label " + std::to_string(label),
                  "the labels are classes, or ids of the vocabulary");
    losses[static_cast<size_t>(row)] =
        cpu::cross_entropy({static_cast<const char*>(logits.data_ptr()) + row * bytes,
                            logits.scalar_type() == torch::kBFloat16, classes, label, static_cast<float>(factor)},
                           gradient);
  });
  made.sum = std::accumulate(losses.begin(), losses.end(), 0.0);
  return made;
}

}  // namespace tessera

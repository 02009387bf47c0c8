#include "train/row_loss.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

namespace tessera {

double backward_by_rows(const Tensor& hidden, const Tensor& labels, const std::function<Tensor(const Tensor&)>& logits,
                        double factor) {
  constexpr int64_t kRows = 256;
  const Tensor leaf = hidden.detach().requires_grad_(hidden.requires_grad());
  double sum = 0;
  for (int64_t first = 0; first < leaf.size(0); first += kRows) {
    const int64_t rows = std::min(kRows, leaf.size(0) - first);
    const Tensor loss = torch::cross_entropy_loss(logits(leaf.narrow(0, first, rows)).to(torch::kFloat32),
                                                  labels.narrow(0, first, rows), {}, at::Reduction::Sum) *
                        factor;
    sum += loss.item<double>();
    torch::autograd::backward({loss}, {});
  }
  if (leaf.grad().defined()) torch::autograd::backward({hidden}, {leaf.grad()});
  return sum;
}

}  // namespace tessera

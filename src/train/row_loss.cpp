#include "train/row_loss.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "kernels/activate.h"
#include "kernels/cross_entropy.h"

namespace tessera {
namespace {

/// The loss of some rows; its gradient goes back to where the logits came from.
double backward_from(const Tensor& logits, const Tensor& labels, double factor) {
  if (can_activate(logits)) {
    const CrossEntropy loss = cross_entropy(logits, labels, factor);
    torch::autograd::backward({logits}, {loss.gradient});
    return loss.sum * factor;
  }
  const Tensor loss = torch::cross_entropy_loss(logits.to(torch::kFloat32), labels, {}, at::Reduction::Sum) * factor;
  torch::autograd::backward({loss}, {});
  return loss.item<double>();
}

}  // namespace

double backward_by_rows(const Tensor& hidden, const Tensor& labels, const std::function<Tensor(const Tensor&)>& logits,
                        double factor) {
  constexpr int64_t kFirst = 128, kLogits = 1 << 25;  // rows of the first group, which tells how many a group may have
  const Tensor leaf = hidden.detach().requires_grad_(hidden.requires_grad());
  double sum = 0;
  int64_t together = kFirst;
  for (int64_t first = 0; first < leaf.size(0);) {
    const int64_t rows = std::min(together, leaf.size(0) - first);
    const Tensor scores = logits(leaf.narrow(0, first, rows));
    sum += backward_from(scores, labels.narrow(0, first, rows), factor);
    first += rows;
    if (scores.is_cpu()) together = std::max(kFirst, kLogits / scores.size(1));
  }
  if (leaf.grad().defined()) torch::autograd::backward({hidden}, {leaf.grad()});
  return sum;
}

}  // namespace tessera

#include "metrics/zero_shot.h"

#include "core/error.h"

namespace tessera {

using torch::Tensor;

Tensor true_ranks(const Tensor& scores, const Tensor& truth) {
  if (scores.dim() != 2 || truth.dim() != 1 || truth.size(0) != scores.size(0))
    throw Error("scores are rows x columns and truth has one entry per row", "true_ranks");
  if (truth.numel() == 0) return torch::empty({0}, torch::kInt64);
  if (truth.min().item<int64_t>() < 0 || truth.max().item<int64_t>() >= scores.size(1))
    throw Error("a true column is out of range", "true_ranks");
  if (scores.isnan().any().item<bool>()) throw Error("a score is NaN", "true_ranks");
  const Tensor right = scores.gather(1, truth.unsqueeze(1));  // rows x 1
  return scores.ge(right).sum(1);
}

double accuracy_at(const Tensor& ranks, int64_t k) {
  if (ranks.numel() == 0) return 0;
  return static_cast<double>(ranks.le(k).sum().item<int64_t>()) / static_cast<double>(ranks.numel());
}

ZeroShotResult zero_shot(const Tensor& images, const Tensor& texts, const Tensor& truth) {
  auto unit_rows = [](const Tensor& x) { return x / x.norm(2, -1, true).clamp_min(1e-12); };
  const Tensor scores = torch::matmul(unit_rows(images), unit_rows(texts).t());
  const Tensor ranks = true_ranks(scores, truth);
  return {images.size(0), texts.size(0), accuracy_at(ranks, 1), accuracy_at(ranks, 5)};
}

}  // namespace tessera

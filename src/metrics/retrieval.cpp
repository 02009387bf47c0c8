#include "metrics/retrieval.h"

#include <algorithm>

#include "core/error.h"

namespace tessera {

using torch::Tensor;

double recall_at(const Tensor& scores, const Tensor& relevant, int64_t k) {
  if (scores.sizes() != relevant.sizes() || scores.dim() != 2)
    throw Error("scores and relevant are queries x items", "recall_at");
  if (scores.numel() == 0) return 0;
  const Tensor best = std::get<1>(scores.topk(std::min(k, scores.size(1)), 1));  // queries x k
  const Tensor counts = relevant.any(1);
  const Tensor hit = relevant.gather(1, best).any(1);
  const auto queries = counts.sum().item<int64_t>();
  return queries == 0 ? 0 : static_cast<double>(hit.sum().item<int64_t>()) / static_cast<double>(queries);
}

RetrievalResult retrieval(const Tensor& images, const Tensor& texts, const Tensor& relevant) {
  auto unit_rows = [](const Tensor& x) { return x / x.norm(2, -1, true).clamp_min(1e-12); };
  const Tensor scores = torch::matmul(unit_rows(texts), unit_rows(images).t());  // texts x images
  const Tensor back = scores.t(), relevant_back = relevant.t();
  return {recall_at(scores, relevant, 1),    recall_at(scores, relevant, 5),    recall_at(scores, relevant, 10),
          recall_at(back, relevant_back, 1), recall_at(back, relevant_back, 5), recall_at(back, relevant_back, 10)};
}

}  // namespace tessera

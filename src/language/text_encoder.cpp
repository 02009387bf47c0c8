#include "language/text_encoder.h"

namespace tessera {

Registry<TextEncoder>& text_encoders() {
  static Registry<TextEncoder> registry("text encoder");
  return registry;
}

const std::vector<std::string>& text_pools() {
  static const std::vector<std::string> kinds = {"first", "last", "mean", "highest-id", "end"};
  return kinds;
}

Tensor pool_text(const std::string& kind, const Tokens& tokens, const TextBatch& text, int64_t end_id) {
  check_choice(kind, text_pools(), "text_pool");
  const Tensor& x = tokens.x;
  if (kind == "first") return x.select(1, 0);
  if (kind == "last") return x.select(1, x.size(1) - 1);
  if (kind == "mean") {
    if (!tokens.mask.defined()) return x.mean(1);
    const Tensor real = tokens.mask.to(x.scalar_type()).unsqueeze(-1);
    return (x * real).sum(1) / real.sum(1).clamp_min(1);
  }
  const Tensor at = kind == "end" ? text.ids.eq(end_id).to(torch::kInt64).argmax(1) : text.ids.argmax(1);  // B
  return x.gather(1, at.view({-1, 1, 1}).expand({-1, 1, x.size(2)})).squeeze(1);
}

}  // namespace tessera

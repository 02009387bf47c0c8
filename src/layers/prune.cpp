#include "layers/prune.h"

#include "core/error.h"
#include "kernels/sparse.h"
#include "layers/linear.h"

namespace tessera {

std::vector<std::string> prune_by_magnitude(Module& model, int64_t kept, int64_t of) {
  if (kept < 1 || kept > of)
    throw Error("cannot keep " + std::to_string(kept) + " of " + std::to_string(of), "pruning",
                "keep at least one, and no more than there are");
  const torch::NoGradGuard no_gradient;
  std::vector<std::string> pruned;
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    auto* layer = dynamic_cast<Linear*>(item.value().get());
    if (!layer || layer->gives_logits || layer->weight.size(1) % of != 0) continue;
    if (layer->is_prepared())
      throw Error("has packed weights, which are not pruned", item.key(), "prune the model first, then prepare it");
    layer->weight.copy_(keep_largest(layer->weight, kept, of));
    pruned.push_back(item.key());
  }
  return pruned;
}

}  // namespace tessera

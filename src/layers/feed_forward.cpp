#include "layers/feed_forward.h"

#include <algorithm>

namespace tessera {

Registry<FeedForward>& learned_activations() {
  static Registry<FeedForward> registry("learned activation");
  return registry;
}

ActivatedFeedForward::ActivatedFeedForward(const std::string& activation_name) {
  const auto learned = learned_activations().kinds();
  if (std::find(learned.begin(), learned.end(), activation_name) == learned.end())
    function_ = activation(activation_name);
  else
    learned_ = register_module("activation", learned_activations().make({{"kind", activation_name}}, "activation"));
}

Mlp::Mlp(int64_t dim, int64_t hidden, const std::string& activation_name, int64_t out, bool bias)
    : ActivatedFeedForward(activation_name),
      up_(add<Linear>("up", dim, hidden, bias)),
      down_(add<Linear>("down", hidden, out > 0 ? out : dim, bias)) {}

Tensor Mlp::onto(const Tensor& residual, const Tensor& x) {
  return last_layer(*this, *down_, activated(*up_, x), residual);
}

GatedMlp::GatedMlp(int64_t dim, int64_t hidden, const std::string& activation_name, bool bias, int64_t out)
    : ActivatedFeedForward(activation_name),
      gate_up_(add<Linear>("gate_up", dim, 2 * hidden, bias, /*gated=*/!learned())),
      down_(add<Linear>("down", hidden, out > 0 ? out : dim, bias)) {}

Tensor GatedMlp::onto(const Tensor& residual, const Tensor& x) {
  if (!learned()) return last_layer(*this, *down_, activated(*gate_up_, x), residual);
  const auto branches = gate_up_->forward(x).chunk(2, -1);
  return last_layer(*this, *down_, activate(branches[0]) * branches[1], residual);
}

}  // namespace tessera

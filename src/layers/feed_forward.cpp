#include "layers/feed_forward.h"

namespace tessera {

Mlp::Mlp(int64_t dim, int64_t hidden, const std::string& activation_name, int64_t out, bool bias)
    : up_(add<Linear>("up", dim, hidden, bias)),
      down_(add<Linear>("down", hidden, out > 0 ? out : dim, bias)),
      activation_(activation(activation_name)) {}

Tensor Mlp::forward(const Tensor& x) {
  return tap(*this, down_->forward(up_->forward(x, {.activation = activation_, .narrow = true})));
}

GatedMlp::GatedMlp(int64_t dim, int64_t hidden, const std::string& activation_name, bool bias, int64_t out)
    : gate_up_(add<Linear>("gate_up", dim, 2 * hidden, bias, true)),
      down_(add<Linear>("down", hidden, out > 0 ? out : dim, bias)),
      activation_(activation(activation_name)) {}

Tensor GatedMlp::forward(const Tensor& x) {
  return tap(*this, down_->forward(gate_up_->forward(x, {.activation = activation_, .narrow = true})));
}

}  // namespace tessera

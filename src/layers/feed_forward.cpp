#include "layers/feed_forward.h"

namespace tessera {

Mlp::Mlp(int64_t dim, int64_t hidden, const std::string& activation_name, int64_t out)
    : up_(add<Linear>("up", dim, hidden)),
      down_(add<Linear>("down", hidden, out > 0 ? out : dim)),
      activation_(activation(activation_name)) {}

Tensor Mlp::forward(const Tensor& x) { return tap(*this, down_->forward(activation_(up_->forward(x)))); }

}  // namespace tessera

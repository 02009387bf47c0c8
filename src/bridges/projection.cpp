#include "bridges/projection.h"

namespace tessera {
namespace {

const Registration<Bridge, LinearBridge, LinearBridgeOptions> linear(bridges(), "linear");
const Registration<Bridge, MlpBridge, MlpBridgeOptions> mlp(bridges(), "mlp");

}  // namespace

LinearBridge::LinearBridge(const LinearBridgeOptions& o) : linear_(add<Linear>("linear", o.dim, o.width, o.bias)) {}

Tokens LinearBridge::forward(const Tokens& visual, const TextBatch* text) {
  refuse_text(text);
  return visual.with(tap(*this, linear_->forward(visual.x)));
}

MlpBridge::MlpBridge(const MlpBridgeOptions& o) : options_(o) {
  mlp_ = add<Mlp>("mlp", o.dim, o.hidden > 0 ? o.hidden : o.width, o.activation, o.width, o.bias);
}

Tokens MlpBridge::forward(const Tokens& visual, const TextBatch* text) {
  refuse_text(text);
  return visual.with(tap(*this, mlp_->forward(visual.x)));
}

}  // namespace tessera

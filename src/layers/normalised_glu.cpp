#include "layers/normalised_glu.h"

#include "core/error.h"
#include "layers/mixers.h"
#include "layers/recurrent.h"

namespace tessera {

TESSERA_OPTIONS(NormalisedGluOptions, dim, hidden, activation, eps)
TESSERA_OPTIONS(TokenwiseOptions, dim, feed_forward)

namespace {

const FeedForwardRegistration<NormalisedGlu, NormalisedGluOptions> glu("normalised-glu");
const MixerRegistration<TokenwiseMixer, TokenwiseOptions> tokenwise("token-wise");

}  // namespace

NormalisedGlu::NormalisedGlu(const NormalisedGluOptions& o)
    : ActivatedFeedForward(o.activation),
      gate_up_(add<Linear>("gate_up", o.dim, 2 * o.hidden)),
      down_(add<Linear>("down", o.hidden, o.dim)),
      norm_(add<Norm>("norm", o.hidden, o.eps)) {}

Tensor NormalisedGlu::forward(const Tensor& x) {
  const auto branches = gate_up_->forward(x).chunk(2, -1);
  return tap(*this, down_->forward(norm_->forward(activate(branches[0])) * norm_->forward(branches[1])));
}

TokenwiseMixer::TokenwiseMixer(const TokenwiseOptions& options) {
  feed_forward_ =
      feed_forwards().make_part(options.feed_forward, {{"dim", options.dim}}, 0, "token-wise: feed_forward");
  if (!feed_forward_) throw Error("there is nothing to compute", "token-wise: feed_forward");
  register_module("feed_forward", feed_forward_);
}

/// There is nothing to remember.
std::shared_ptr<State> TokenwiseMixer::start() const { return std::make_shared<RecurrentState>(); }

}  // namespace tessera

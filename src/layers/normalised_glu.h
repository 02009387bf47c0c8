#pragma once
#include "layers/feed_forward.h"
#include "layers/norm.h"

namespace tessera {

struct NormalisedGluOptions {
  int64_t dim = 256, hidden = 512;
  std::string activation = "gelu";
  double eps = 1e-5;
};

/// The gated unit of Activator (Abdullah, 2024): down(norm(act(gate(x))) * norm(up(x))) with one norm for both factors.
class NormalisedGlu : public ActivatedFeedForward {
 public:
  explicit NormalisedGlu(const NormalisedGluOptions& options);
  Tensor forward(const Tensor& x) override;

 private:
  std::shared_ptr<Linear> gate_up_, down_;
  std::shared_ptr<Norm> norm_;
};

struct TokenwiseOptions {
  int64_t dim = 256;
  Json feed_forward = {{"kind", "normalised-glu"}};
};

/// A feed-forward in the place of a mixer, for blocks in which nothing exchanges information between tokens.
class TokenwiseMixer : public Mixer {
 public:
  explicit TokenwiseMixer(const TokenwiseOptions& options);
  Tensor forward(const Tokens& tokens) override { return tap(*this, feed_forward_->forward(tokens.x)); }
  Tensor step(const Tokens& tokens, State&) override { return forward(tokens); }
  std::shared_ptr<State> start() const override;

 private:
  std::shared_ptr<FeedForward> feed_forward_;
};

}  // namespace tessera

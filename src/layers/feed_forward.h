#pragma once
#include "core/registry.h"
#include "layers/activation.h"
#include "layers/linear.h"
#include "layers/mixer.h"

namespace tessera {

/// The activations with parameters of their own, by the names that stand beside those of activation.h ("polyrelu",
/// "polynorm").
Registry<FeedForward>& learned_activations();

/// A feed-forward whose activation is named: a function, or a learned one, which is its child "activation".
class ActivatedFeedForward : public FeedForward {
 protected:
  explicit ActivatedFeedForward(const std::string& activation_name);
  bool learned() const { return learned_ != nullptr; }
  Tensor activate(const Tensor& x) { return learned_ ? learned_->forward(x) : function_(x); }
  /// What the layer makes of x, activated; a function is applied in the layer's own pass.
  Tensor activated(Linear& layer, const Tensor& x) {
    return learned_ ? learned_->forward(layer.forward(x)) : layer.forward(x, {.activation = function_, .narrow = true});
  }

 private:
  Activation function_ = nullptr;
  std::shared_ptr<FeedForward> learned_;
};

/// Two linear layers with an activation between them: down(act(up(x))).
class Mlp : public ActivatedFeedForward {
 public:
  /// @param out  width of the result; 0: dim
  Mlp(int64_t dim, int64_t hidden, const std::string& activation_name, int64_t out = 0, bool bias = true);
  Tensor forward(const Tensor& x) override { return Mlp::onto({}, x); }
  Tensor onto(const Tensor& residual, const Tensor& x) override;
  torch::ScalarType input_type() const override { return up_->narrow_type(); }

 private:
  std::shared_ptr<Linear> up_, down_;
};

/// A product of two branches, of which one is activated (Shazeer, 2020): down(act(gate(x)) * up(x)). Gate and up are
/// one fused projection in this order; the name tables split it.
class GatedMlp : public ActivatedFeedForward {
 public:
  /// @param out  width of the result; 0: dim
  GatedMlp(int64_t dim, int64_t hidden, const std::string& activation_name, bool bias = false, int64_t out = 0);
  Tensor forward(const Tensor& x) override { return GatedMlp::onto({}, x); }
  Tensor onto(const Tensor& residual, const Tensor& x) override;
  torch::ScalarType input_type() const override { return gate_up_->narrow_type(); }

 private:
  std::shared_ptr<Linear> gate_up_, down_;
};

}  // namespace tessera

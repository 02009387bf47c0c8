#pragma once
#include "layers/activation.h"
#include "layers/linear.h"
#include "layers/mixer.h"

namespace tessera {

/// Two linear layers with an activation between them: down(act(up(x))).
class Mlp : public FeedForward {
 public:
  /// @param out  width of the result; 0: dim
  Mlp(int64_t dim, int64_t hidden, const std::string& activation_name, int64_t out = 0, bool bias = true);
  Tensor forward(const Tensor& x) override;
  torch::ScalarType input_type() const override { return up_->narrow_type(); }

 private:
  std::shared_ptr<Linear> up_, down_;
  Activation activation_;
};

/// A product of two branches, of which one is activated (Shazeer, 2020): down(act(gate(x)) * up(x)). Gate and up are
/// one fused projection in this order; the name tables split it.
class GatedMlp : public FeedForward {
 public:
  /// @param out  width of the result; 0: dim
  GatedMlp(int64_t dim, int64_t hidden, const std::string& activation_name, bool bias = false, int64_t out = 0);
  Tensor forward(const Tensor& x) override;
  torch::ScalarType input_type() const override { return gate_up_->narrow_type(); }

 private:
  std::shared_ptr<Linear> gate_up_, down_;
  Activation activation_;
};

}  // namespace tessera

#pragma once
#include "layers/activation.h"
#include "layers/linear.h"
#include "layers/mixer.h"

namespace tessera {

/// Two linear layers with an activation between them: down(act(up(x))).
class Mlp : public FeedForward {
 public:
  Mlp(int64_t dim, int64_t hidden, const std::string& activation_name, int64_t out = 0);
  Tensor forward(const Tensor& x) override;

 private:
  std::shared_ptr<Linear> up_, down_;
  Activation activation_;
};

}  // namespace tessera

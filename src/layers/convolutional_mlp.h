#pragma once
#include "layers/activation.h"
#include "layers/linear.h"
#include "layers/mixer.h"

namespace tessera {

/// A feed-forward whose hidden features see their neighbours: down(y + depthwise(y)), y = act(up(x)). It is a mixer,
/// as it needs the grid (RMT; Fan et al., 2023).
class ConvolutionalMlp : public Mixer {
 public:
  ConvolutionalMlp(int64_t dim, int64_t hidden, const std::string& activation_name, int64_t kernel = 3);
  /// @throws Error where the tokens fill no grid
  Tensor forward(const Tokens& tokens) override;

 private:
  std::shared_ptr<Linear> up_, down_;
  std::shared_ptr<Convolution> convolution_;
  Activation activation_;
};

}  // namespace tessera

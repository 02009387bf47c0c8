#pragma once
#include "layers/mixer.h"
#include "layers/norm.h"

namespace tessera {

struct BlockOptions {
  int64_t dim = 768;
  double eps = 1e-6;
  std::string norm = "layer";
  bool post_norm = false;  ///< x = norm(x + part(x)), as in the first transformers, instead of x = x + part(norm(x))
  double layer_scale =
      0;  ///< first value of a learned factor per channel on both branches (Touvron et al., 2021); 0: none
  double drop_path = 0;  ///< probability that a sample skips a branch while training (Huang et al., 2016)
  double dropout = 0;    ///< of the branches' outputs, while training
};

/// One layer of a transformer: a mixer and a feed-forward, each with norm and residual. The mixer and the feed-forward
/// are given, so that every combination is this one class.
class Block : public Module {
 public:
  Block(const BlockOptions& options, std::shared_ptr<Mixer> mixer, std::shared_ptr<FeedForward> ffn);
  Tokens forward(const Tokens& tokens);

 private:
  Tensor branch(const Tensor& y, const Tensor& scale);

  BlockOptions options_;
  std::shared_ptr<Norm> norm1_, norm2_;
  std::shared_ptr<Mixer> mixer_;
  std::shared_ptr<FeedForward> ffn_;
  Tensor scale1_, scale2_;  // dim
};

/// Drops whole samples of a residual branch with this probability and scales the others up; identity outside training.
Tensor drop_path(const Tensor& x, double probability, bool training);

}  // namespace tessera

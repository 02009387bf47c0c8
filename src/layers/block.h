#pragma once
#include "layers/linear.h"
#include "layers/mixer.h"
#include "layers/norm.h"

namespace tessera {

struct BlockOptions {
  int64_t dim = 768;
  double eps = 1e-6;
  std::string norm = "layer";
  bool post_norm = false;  ///< x = norm(x + part(x)), as in the first transformers, instead of x = x + part(norm(x))
  bool sandwich_norm = false;  ///< further norms of the branches' results, before they are added (Ding et al., 2021)
  double layer_scale =
      0;  ///< first value of a learned factor per channel on both branches (Touvron et al., 2021); 0: none
  double drop_path = 0;         ///< probability that a sample skips a branch while training (Huang et al., 2016)
  double dropout = 0;           ///< of the branches' outputs, while training
  int64_t position_kernel = 0;  ///< of a depthwise convolution over the tokens' grid, added before each branch, which
                                ///< tells them where they stand (Chu et al., 2021); 0: none
  bool one_norm = false;        ///< both branches read the same norm (Abdullah, 2024)
};

/// One layer of a transformer: a mixer and a feed-forward, each with norm and residual. The mixer and the feed-forward
/// are given, so that every combination is this one class. Taps: the block's output, and "mixed" between the branches.
class Block : public Module {
 public:
  /// @param mixer  null: the feed-forward is all (that of the queries of a Q-Former)
  /// @param ffn    null: the mixer is all (Mamba; the self-attention before a cross-attention)
  Block(const BlockOptions& options, std::shared_ptr<Mixer> mixer, std::shared_ptr<FeedForward> ffn);
  Tokens forward(const Tokens& tokens) { return run(tokens, nullptr); }

  /// The mixer's state and the next tokens of a sequence; see Mixer.
  std::shared_ptr<State> start() const { return mixer_->start(); }
  Tokens step(const Tokens& tokens, State& state) { return run(tokens, &state); }

 private:
  Tokens run(const Tokens& tokens, State* state);
  Tensor mixed(const Tokens& tokens, State* state);
  Tensor transformed(const Tensor& x);
  Tensor branch(const Tensor& y, Norm* after, const Tensor& scale);
  bool is_plain(const Norm* after, const Tensor& scale) const;

  BlockOptions options_;
  std::shared_ptr<Convolution> position1_, position2_;
  std::shared_ptr<Norm> norm1_, norm2_, after1_, after2_;
  std::shared_ptr<Mixer> mixer_;
  std::shared_ptr<FeedForward> ffn_;
  Tensor scale1_, scale2_;  // dim
};

/// The tokens and what a convolution makes of their grid: x + convolution(x). Prefix and suffix stay as they are.
/// @throws Error where the tokens fill no grid
Tokens add_convolved(const Tokens& tokens, Convolution& convolution);

/// Drops whole samples of a residual branch with this probability and scales the others up; identity outside training.
Tensor drop_path(const Tensor& x, double probability, bool training);

}  // namespace tessera

#pragma once
#include "layers/attention.h"

namespace tessera {

/// Attention within square windows of the tokens' grid (Liu et al., 2021, without the shift). A grid that the windows
/// do not divide is filled up with zeros at the right and at the bottom; those take part as tokens do, as in DaViT.
/// Taps: those of Attention, with the windows of all pictures as batch.
class WindowAttention : public Attention {
 public:
  /// @param window  tokens along each side
  WindowAttention(const AttentionOptions& options, int64_t window);
  /// @throws Error where the tokens fill no grid, or have prefix or suffix
  Tensor forward(const Tokens& tokens) override;
  std::shared_ptr<State> start() const override { return nullptr; }

 private:
  int64_t window_;
};

struct ChannelAttentionOptions {
  int64_t dim = 768, groups = 8;
  bool qkv_bias = true;
};

/// Attention of channels to channels (Ding et al., 2022): in each group of channels, softmax(Q^T K / sqrt(L)) V^T,
/// where L is the number of tokens. What is mixed is seen by all tokens at once, at a cost that is linear in their
/// number. Taps: "weights" (B x groups x D / groups x D / groups), "context".
class ChannelAttention : public Mixer {
 public:
  explicit ChannelAttention(const ChannelAttentionOptions& options);
  Tensor forward(const Tokens& tokens) override;

 private:
  ChannelAttentionOptions options_;
  std::shared_ptr<Linear> qkv_, proj_;
};

}  // namespace tessera

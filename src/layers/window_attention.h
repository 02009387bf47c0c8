#pragma once
#include "layers/attention.h"

namespace tessera {

struct WindowOptions {
  int64_t window = 7;          ///< tokens along each side
  bool shifted = false;        ///< the windows lie half a window further down and to the right, around the grid's
                               ///< edge; tokens that only this brings together hardly see each other
  bool shrink = false;         ///< a grid whose shorter side is no longer than a window has windows of that side,
                               ///< which are not shifted
  bool relative_bias = false;  ///< a learned bias of the scores per head and offset of the two tokens
};

/// What WindowAttention adds to its scores: a bias by the offset of two tokens of a window, and -100 where they lie in
/// different regions of the grid (which the shift has brought together).
class WindowBias : public PositionBias {
 public:
  /// @param heads  0: no bias by offset
  WindowBias(int64_t window, int64_t heads);
  /// The position of a token in a window of `side` x `side`: 1 x side^2, int64.
  /// @param side  at most the window that the bias is for
  Tensor positions(int64_t side) const;
  /// The position of the same token in another region; `region`: any number from 0 on.
  Tensor in_region(const Tensor& positions, const Tensor& region) const { return positions + region * span_ * span_; }
  Tensor forward(const Tensor& queries, const Tensor& keys) override;

 private:
  int64_t window_, span_;  // span: offsets along an axis
  Tensor weight_;          // span^2 x heads
};

/// Attention within square windows of the tokens' grid (Swin; Liu et al., 2021). A grid that the windows do not divide
/// is filled up with zeros at the right and at the bottom; those take part as tokens do. Taps: those of Attention, with
/// the windows of all pictures as batch.
class WindowAttention : public Attention {
 public:
  WindowAttention(const AttentionOptions& options, const WindowOptions& window);
  /// @throws Error where the tokens fill no grid, or have prefix or suffix
  Tensor forward(const Tokens& tokens) override;
  Tensor onto(const Tensor& residual, const Tokens& tokens, State* state) override {
    return Mixer::onto(residual, tokens, state);  // windows are put together before they are added
  }
  std::shared_ptr<State> start() const override { return nullptr; }

 private:
  WindowAttention(const AttentionOptions& options, const WindowOptions& window, std::shared_ptr<WindowBias> bias);
  Tensor positions(int64_t side, int64_t shift, int64_t batch, int64_t height, int64_t width) const;

  WindowOptions window_;
  std::shared_ptr<WindowBias> bias_;
};

/// B x D x H x W in windows of side x side, which divide it: B * windows x side^2 x D, row by row.
Tensor in_windows(const Tensor& map, int64_t side);
/// The inverse of in_windows(): B x H x W x D.
Tensor from_windows(const Tensor& windows, int64_t side, int64_t height, int64_t width);

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

#pragma once
#include "bridges/bridge.h"
#include "layers/linear.h"
#include "layers/norm.h"

namespace tessera {

struct GridProjectionOptions {
  int64_t dim = 1024;      ///< of the encoder
  int64_t width = 768;     ///< of the language model
  int64_t positions = 50;  ///< the largest height and width of a grid
  int64_t frames = 100;    ///< of a video; 0: tokens are not told their frame
  /// What goes on, in this order: spatial_avg_pool (one token a frame: the mean of its places), temporal_avg_pool (one
  /// token a place: the mean over the frames), last_frame (the places of the last frame).
  std::vector<std::string> sources = {"spatial_avg_pool", "temporal_avg_pool"};
};
TESSERA_OPTIONS(GridProjectionOptions, dim, width, positions, frames, sources)

/// Florence-2's way from a grid to tokens (Xiao et al., 2023): learned positions of columns and rows, a sine-cosine
/// table of frames, means, a linear layer and a norm. A grid has two axes (a picture) or three (frames first).
class GridProjection : public Bridge {
 public:
  explicit GridProjection(const GridProjectionOptions& options);
  /// @throws Error for a grid beyond the tables
  Tokens forward(const Tokens& visual, const TextBatch* text = nullptr) override;
  int64_t width() const override { return options_.width; }
  int64_t source_width() const override { return options_.dim; }
  /// Of one frame.
  int64_t length(int64_t visual) const override;

 private:
  /// N x frames x places x D with both positions.
  Tensor positioned(const Tokens& visual);

  GridProjectionOptions options_;
  std::shared_ptr<Embedding> rows_, columns_;
  Tensor frames_;  // frames x D, a buffer
  std::shared_ptr<Linear> projection_;
  std::shared_ptr<Norm> norm_;
};

/// Row t holds sin(t / 10000^(2i / dim)) at 2i and the cosine at 2i + 1 (Vaswani et al., 2017): count x dim.
Tensor sine_cosine_sequence(int64_t count, int64_t dim);

}  // namespace tessera

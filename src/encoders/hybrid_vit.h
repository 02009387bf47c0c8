#pragma once
#include "encoders/encoder.h"
#include "layers/block.h"
#include "layers/convolution_norm.h"

namespace tessera {

/// The hybrid of "An Image is Worth 16x16 Words" (Dosovitskiy et al., 2020): a residual network makes a small feature
/// map, and transformer blocks read its cells as tokens. The network is that of He et al. (2015) with the stem and the
/// shortcuts of ResNet-D (He et al., 2019). With depth 0 it is that network alone.
struct HybridVitOptions {
  std::vector<int64_t> image = {64, 64};  ///< height, width that the positions are learned for
  int64_t channels = 3;
  int64_t stem = 32;                                    ///< channels of the first convolution, at half the size
  std::vector<int64_t> widths = {64, 128, 256, 384};    ///< of the stages; all but the first halve the map
  std::vector<int64_t> blocks = {0, 1, 1, 1};           ///< residual blocks of each stage; 0: one plain convolution
  int64_t dim = 384, depth = 0, heads = 6, ffn = 1536;  ///< of the transformer blocks
  std::string activation = "gelu";
  double eps = 1e-6, drop_path = 0;
  bool final_norm = true;
};
TESSERA_OPTIONS(HybridVitOptions, image, channels, stem, widths, blocks, dim, depth, heads, ffn, activation, eps,
                drop_path, final_norm)

/// relu(branch(x) + shortcut(x)); a shortcut that shrinks averages before its 1 x 1 convolution.
class ResidualBlock : public Module {
 public:
  ResidualBlock(int64_t in, int64_t out, int64_t stride, double drop_path);
  Tensor forward(const Tensor& x);

 private:
  int64_t stride_;
  double drop_path_;
  std::shared_ptr<ConvolutionNorm> first_, second_, shortcut_;
};

class HybridVit : public Encoder {
 public:
  explicit HybridVit(const HybridVitOptions& options);
  Tokens forward(const Tensor& pixels) override;
  int64_t width() const override;
  Layout layout(int64_t height, int64_t width) const override;

 private:
  struct Stage {
    std::shared_ptr<ConvolutionNorm> plain;
    std::shared_ptr<ModuleList<ResidualBlock>> blocks;
  };
  void add_stage(size_t index, int64_t in, double drop_path_step, double& drop_path);

  HybridVitOptions options_;
  Grid trained_;
  std::shared_ptr<ConvolutionNorm> stem_;
  std::vector<Stage> stages_;
  std::shared_ptr<Linear> embed_;
  Tensor positions_;  // 1 x h*w x dim
  std::shared_ptr<ModuleList<Block>> blocks_;
  std::shared_ptr<Norm> norm_;
};

}  // namespace tessera

#pragma once
#include "encoders/vit.h"
#include "io/name_table.h"
#include "io/published_config.h"

namespace tessera {

/// ViTamin (Chen et al., 2024): two stages of convolutions and one of a transformer with gated feed-forwards, made to
/// be the picture tower of CLIP.
struct VitaminOptions {
  std::vector<int64_t> image = {224, 224};  ///< height, width that the positions are learned for
  int64_t channels = 3, stem = 64;          ///< stem: width of the first convolutions, at half the extent
  std::vector<int64_t> widths = {64, 128}, depths = {2, 4};  ///< of the stages of convolutions, which halve the map
  int64_t dim = 384, depth = 14, heads = 6, ffn = 768;       ///< of the transformer, at 1/16 of the extent
  bool positions = true;
  double drop_path = 0;
};
TESSERA_OPTIONS(VitaminOptions, image, channels, stem, widths, depths, dim, depth, heads, ffn, positions, drop_path)

/// An inverted bottleneck with a single norm (MBConv-LN): up four times, a 3 x 3 depthwise convolution, and down, with
/// GELU between them, added to a shortcut that averages where the map is halved.
class MbConv : public Module {
 public:
  /// @param stride  1 or 2
  MbConv(int64_t in, int64_t out, int64_t stride);
  Tensor forward(const Tensor& map);

 private:
  int64_t stride_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<Convolution> up_, depthwise_, down_, shortcut_;
};

/// Picture to a map of 1/16 of its extent. Taps: "stem", "stages.n", "pool", the maps.
class VitaminStem : public Downsampler {
 public:
  explicit VitaminStem(const VitaminOptions& options);
  Tensor forward(const Tensor& pixels) override;
  int64_t extent(int64_t before) const override;

 private:
  std::shared_ptr<Convolution> first_, second_, pool_;
  std::shared_ptr<Norm> norm_, pool_norm_;
  std::shared_ptr<ModuleList<ModuleList<MbConv>>> stages_;
};

/// Gives tokens without a last norm, as its pool has one. Taps: those of Vit; "patches.stem", "patches.stages.n".
class Vitamin : public Vit {
 public:
  explicit Vitamin(const VitaminOptions& options);
};

/// The constructor arguments of timm. `where` is for messages.
VitaminOptions read_vitamin(PublishedConfig& config);
/// Those that a timm name such as vitamin_large_336 stands for. @throws Error for another name
Json vitamin_arguments(const std::string& architecture, const std::string& where);
/// timm's names of the tower at `tower` and of the norm of its mean at `pool`.
NameTable vitamin_names(const std::string& tower, const std::string& pool);
/// The pool that takes the mean of the tokens and norms it.
Json vitamin_pool(const VitaminOptions& vitamin);

}  // namespace tessera

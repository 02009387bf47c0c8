#pragma once
#include "encoders/classifier.h"
#include "encoders/resnas.h"
#include "encoders/search_space.h"
#include "layers/width_mask.h"

namespace tessera {

/// A super-network (Liao et al., 2021): the widest ViT-ResNAS, of which every sub-network is the first channels of
/// each layer.
struct ResnasSupernetOptions : ResnasOptions {
  Json num_channels_to_keep;       ///< see SearchSpace
  int64_t example_per_arch = 64;   ///< examples of a batch that share a sub-network
  int64_t num_warmup_epochs = 15;  ///< over which narrower widths come in, one after the other; 0: all from the start
  bool single_arch = false;        ///< all examples of a batch have the same sub-network
};
TESSERA_OPTIONS(ResnasSupernetOptions, image, channels, network_def, distillation, residual_reduction, drop_path,
                num_channels_to_keep, example_per_arch, num_warmup_epochs, single_arch)

/// How many widths of a list are in use in an epoch: the widest alone at first, all when the warm-up has ended.
int64_t usable_widths(int64_t widths, int64_t epoch, int64_t warmup_epochs);

/// Widths for at least `count` sub-networks, in turn and in equal numbers.
std::vector<int64_t> repeated_widths(const std::vector<int64_t>& usable, int64_t count);

/// The widest network with masks on its layers. While it is trained, every pass draws sub-networks for the examples of
/// its batch (from LibTorch's generator, as dropout does); else it is the widest, or what keep() says.
class ResnasSupernet : public Resnas {
 public:
  explicit ResnasSupernet(const ResnasSupernetOptions& options);
  using Encoder::forward;
  Tokens forward(const Tensor& pixels) override;

  /// Which sub-networks the next passes have, drawn no more.
  /// @param widths  for each gene of the space those of all examples, B (or 1, for all), int64
  void keep(const std::vector<Tensor>& widths);
  /// Back to the widest, and to draws while training.
  void keep_all();

  const SearchSpace& space() const { return space_; }
  const ResnasSupernetOptions& options() const { return options_; }
  /// Sorts attention heads and hidden channels of all blocks, the most important first, by the sums of the absolute
  /// values of their weights. The widest network stays the same function.
  void sort_channels();

  int64_t epoch = 0;  ///< of training, from which the warm-up goes on

 private:
  std::vector<Tensor> draw(int64_t batch) const;
  void keep_block(size_t layer, const Tensor& tokens, const Tensor& attention, const Tensor& hidden,
                  const Tensor& exists);
  void set_mask(const std::string& path, const Tensor& mask);
  void add_masks();
  template <class T>
  std::shared_ptr<T> part(const std::string& path) const;

  ResnasSupernetOptions options_;
  SearchSpace space_;
  std::map<std::string, std::shared_ptr<WidthMask>> masks_;  // by the path of what they mask; "": the embedding
  bool kept_ = false;
};

/// A sub-network as a classifier of its own, with the weights that it has in the super-network: the first channels of
/// every tensor. It computes what the super-network with its widths does.
/// @param supernet  a classifier with a ResnasSupernet. @throws Error where it has none
std::shared_ptr<ImageClassifier> extract(ImageClassifier& supernet, const ResnasDefinition& network);

}  // namespace tessera

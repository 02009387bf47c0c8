#pragma once
#include <vector>

#include "core/options.h"

namespace tessera {

/// What stands between embedding and head of a ViT-ResNAS: a transformer block, or a residual spatial reduction.
struct ResnasLayer {
  bool reduces = false;
  int64_t dim = 0;  ///< channels of the tokens that it reads
  int64_t out = 0;  ///< of a reduction: channels after it
  int64_t heads = 0, head_dim = 0, hidden = 0;
  bool exists = true;  ///< false: a block that is left out, and keeps its number
};

/// A multi-stage vision transformer as Liao et al. (2021) write it down, a list of lists:
///
///   [0, C]                               patches of 14 x 14 pixels as C channels
///   [4, C], [5, C, M]                    the same by four convolutions, the first three with 24 (M) channels
///   [1, [C, heads, head dim], [C, hidden], exists]
///   [3, C, D]                            a quarter of the patches, with D channels
///   [2, C, classes]                      the head; an encoder alone may go without
struct ResnasDefinition {
  int64_t dim = 0;     ///< C of the embedding
  int64_t middle = 0;  ///< M; 0: patches
  std::vector<ResnasLayer> layers;
  int64_t classes = 0;  ///< 0: there is no head

  /// Channels after the last layer.
  int64_t width() const;
};

/// @throws Error naming the entry that cannot be, or whose channels are not those of the entry before it
ResnasDefinition read_definition(const Json& json, const std::string& where);
Json write_definition(const ResnasDefinition& definition);

/// Makes a definition whose widths were changed one by one consistent: the channels of embedding and reductions hold up
/// to the next reduction, and where a block is left out, so are those behind it as far as they are removable.
/// @param removable  of each layer; false for reductions
void repair(ResnasDefinition& definition, const std::vector<bool>& removable);

constexpr int64_t kResnasPatch = 14;

/// How far embedding and reduction shrink an extent; the former gives 0 where there are too few pixels.
int64_t patch_extent(const ResnasDefinition& definition, int64_t pixels);
int64_t reduced_extent(int64_t extent);

/// What a pass over one square picture costs by the authors' formula.
struct ResnasCost {
  int64_t macs = 0;   ///< multiply-adds of convolutions, linear layers and attention: what a search budget counts
  int64_t flops = 0;  ///< twice as many, and what biases, norms, activations, softmax and residuals take
};
/// @param distillation  there is a second token in front, with a classifier of its own
ResnasCost cost_of(const ResnasDefinition& definition, int64_t image, int64_t channels, bool distillation);

}  // namespace tessera

#pragma once
#include "core/random.h"
#include "encoders/resnas_definition.h"

namespace tessera {

/// One choice of a search space.
struct Gene {
  enum Kind { kEmbedding, kAttention, kHidden, kExists, kReduction };
  Kind kind = kEmbedding;
  size_t layer = 0;             ///< of the definition; nothing for the embedding
  std::vector<int64_t> widths;  ///< channels, widest first; of kExists some above 0 and a 0
};

/// The sub-networks of a super-network: what each of its widths may be. Beside every entry of the definition stands
/// what may be kept of it:
///
///   an embedding or a reduction      [C, fewer, ...]
///   a block                          {"attn": [heads * head dim, ...], "mlp": [hidden, ...], "layer": [C, ..., 0]}
///                                    ("layer" null: it is never left out)
///   the head                         null
class SearchSpace {
 public:
  /// @throws Error naming the entry that has no sense
  SearchSpace(const ResnasDefinition& widest, const Json& num_channels_to_keep, const std::string& where);

  const std::vector<Gene>& genes() const { return genes_; }
  const ResnasDefinition& widest() const { return widest_; }
  /// Which layers may be left out.
  const std::vector<bool>& removable() const { return removable_; }

  /// The sub-network with these widths, one for each gene, repaired; what a left-out block would have is its widest.
  ResnasDefinition network(const std::vector<int64_t>& widths) const;
  /// The widths of a sub-network. @throws Error where it is none of these
  std::vector<int64_t> widths(const ResnasDefinition& network) const;
  /// Every width drawn evenly.
  std::vector<int64_t> draw(Random& random) const;

 private:
  void read_block(size_t layer, const Json& entry, const std::string& where);
  void add(Gene::Kind kind, size_t layer, const Json& widths, int64_t widest, int64_t unit, const std::string& where);
  int64_t width_in(const Gene& gene, const ResnasDefinition& network) const;

  ResnasDefinition widest_;
  std::vector<Gene> genes_;
  std::vector<bool> removable_;
};

}  // namespace tessera

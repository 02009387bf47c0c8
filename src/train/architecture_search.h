#pragma once
#include <filesystem>

#include "encoders/resnas_supernet.h"
#include "train/evolution.h"
#include "train/recipe.h"

namespace tessera {

struct SearchRun {
  std::filesystem::path log;  ///< a line for each network that was rated; what it holds is not rated again
  std::function<bool(int64_t rated)> stop = {};  ///< asked after each network
};

struct SearchResult {
  bool finished = false;           ///< false: stopped; the same call goes on
  std::vector<RatedNetwork> best;  ///< the best first
};

/// Rates sub-networks of a trained super-network, with the weights that they have in it, by their top-1 accuracy on the
/// recipe's evaluation pictures, of which none may be trained on. A search that was stopped, or killed, goes on with
/// its log and ends with what it would have without.
/// @throws Error, also where the log is of another search
SearchResult search_architecture(ImageClassifier& supernet, const Recipe& recipe, const SearchOptions& options,
                                 const SearchRun& run);

/// Writes a sub-network, with the weights that it has in the super-network, as a model folder with the published names
/// of ViT-ResNAS, and beside them recipe.json, by which `tessera train` trains the same network from the beginning.
void save_sub_network(ImageClassifier& supernet, const ResnasDefinition& network, const Recipe& recipe,
                      const std::filesystem::path& folder);

}  // namespace tessera

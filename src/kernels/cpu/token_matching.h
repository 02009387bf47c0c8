#pragma once
#include <cstdint>
#include <limits>

namespace tessera::cpu {

/// Products of some sources with at most 64 targets, as multiply_panel() writes them: rows are filled up to a multiple
/// of the widest vectors.
struct Products {
  const float* numbers = nullptr;
  int64_t rows = 0, columns = 0, stride = 0;
};

/// The numbers of the widest vector; narrower ones use the first of them.
constexpr int64_t kMostLanes = 16;

/// The best of the targets so far that had this place in a vector, one for each place.
struct alignas(64) BestInLanes {
  BestInLanes();
  float scores[kMostLanes];
  int32_t targets[kMostLanes];
};

inline BestInLanes::BestInLanes() {
  for (float& score : scores) score = -std::numeric_limits<float>::infinity();
  for (int32_t& target : targets) target = std::numeric_limits<int32_t>::max();
}

/// Takes the products that are larger than the best so far, and numbers.
/// @param offsets  added to the products of each target: 0 or -infinity; as many as a filled row has numbers
/// @param first    the first target
/// @param best     one for each row
void keep_best(const Products& products, const float* offsets, int64_t first, BestInLanes* best);

/// What a pair of tokens adds to the energy of either, see elu_energy() and gaussian_energy().
struct PairEnergy {
  bool gaussian = false;
  float margin = 0, alpha = 1;  ///< of ELU
  float sigma = 1;              ///< of the Gaussian, which is not normalised here
};

struct alignas(64) SumsInLanes {
  float sums[kMostLanes] = {};
};

/// @param sums  one for each row
void add_energies(const Products& products, const PairEnergy& energy, SumsInLanes* sums);

/// Tokens that become one.
struct TokenGroup {
  const float* x = nullptr;  ///< the tokens of a sequence
  int64_t stride = 0, width = 0;
  const int64_t* members = nullptr;  ///< those of them that are merged, at least one
  int64_t count = 0;
  const float* weights = nullptr;  ///< of the tokens of the sequence; null: 1
  float divisor = 1;               ///< of the sum
  bool largest = false;            ///< the largest numbers in place of the sum
};

void merge_group(const TokenGroup& group, float* out);

}  // namespace tessera::cpu

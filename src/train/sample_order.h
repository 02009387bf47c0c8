#pragma once
#include <cstdint>
#include <vector>

namespace tessera {

/// How a run goes through its samples: every pass takes all of them, in an order of its own.
struct SampleOrder {
  int64_t seed = 0;      ///< the recipe's
  uint64_t purpose = 0;  ///< of these draws, so that they share no numbers with others
  int64_t samples = 0;
  int64_t batch = 1;  ///< samples of a micro-batch, which may lie in two passes
};

/// The samples of a micro-batch, by index: a function of the order and the number alone.
std::vector<int64_t> chosen_samples(const SampleOrder& order, int64_t number);

}  // namespace tessera

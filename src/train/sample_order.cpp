#include "train/sample_order.h"

#include "core/random.h"

namespace tessera {

std::vector<int64_t> chosen_samples(const SampleOrder& order, int64_t number) {
  std::vector<int64_t> chosen, places;
  for (int64_t i = number * order.batch; i < (number + 1) * order.batch; ++i) {
    const int64_t pass = i / order.samples, place = i % order.samples;
    if (places.empty() || place == 0)
      places = Random(mix_seed(static_cast<uint64_t>(order.seed), order.purpose, static_cast<uint64_t>(pass)))
                   .permutation(order.samples);
    chosen.push_back(places[static_cast<size_t>(place)]);
  }
  return chosen;
}

}  // namespace tessera

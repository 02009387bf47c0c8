#include "train/packing.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace tessera {

std::vector<std::vector<size_t>> pack(const std::vector<int64_t>& lengths, int64_t capacity) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<size_t>> rows;
  std::multimap<int64_t, size_t> room;  // what is left of a row, and which
  for (const size_t index : order) {
    auto best = room.lower_bound(lengths[index]);
    int64_t left = capacity;
    size_t row = rows.size();
    if (best == room.end()) {
      rows.emplace_back();
    } else {
      left = best->first, row = best->second;
      room.erase(best);
    }
    rows[row].push_back(index);
    room.emplace(left - lengths[index], row);
  }
  return rows;
}

}  // namespace tessera

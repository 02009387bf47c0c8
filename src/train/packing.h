#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera {

/// Puts sequences into rows of a capacity so that few tokens are left empty: the longest first, each into the row that
/// it fills best (best-fit decreasing). Longer ones than the capacity have a row of their own.
/// @return of each row the indices of its sequences; the same lengths always give the same rows
std::vector<std::vector<size_t>> pack(const std::vector<int64_t>& lengths, int64_t capacity);

}  // namespace tessera

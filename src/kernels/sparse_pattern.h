#pragma once
#include <array>
#include <cstdint>

namespace tessera {

/// "N:M": of every `of` consecutive inputs of an output at most `kept` weights are not zero. 1:1 is a dense weight.
struct SparsePattern {
  int64_t kept = 1, of = 1;

  constexpr bool operator==(const SparsePattern&) const = default;
  /// The bits that say which of the inputs a kept number belongs to. Eight inputs have four, too: so a byte holds whole
  /// places, and int8 weights are read as all others are.
  constexpr int64_t place_bits() const { return of <= 4 ? 2 : 4; }
  /// The numbers whose places fill a word of 32 bits.
  constexpr int64_t places_of_word() const { return 32 / place_bits(); }
  /// How many numbers are kept of so many inputs, filled up to whole words of places.
  constexpr int64_t kept_of(int64_t inputs) const {
    const int64_t count = (inputs + of - 1) / of * kept, together = places_of_word();
    return (count + together - 1) / together * together;
  }
};

/// Those that are kept without their zeros, in as many bytes or more from one to the next. The inputs that the numbers
/// of one word choose from fill a vector of AVX-512 at most, which is what limits `of`.
constexpr std::array<SparsePattern, 7> kSparsePatterns = {{{1, 16}, {1, 8}, {2, 16}, {1, 4}, {2, 8}, {2, 4}, {4, 8}}};

}  // namespace tessera

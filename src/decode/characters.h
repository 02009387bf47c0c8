#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "decode/grammar.h"

namespace tessera {

/// A set of Unicode characters, as disjoint ranges in ascending order. Surrogates are no characters.
class Characters {
 public:
  using Range = std::pair<uint32_t, uint32_t>;  ///< first and last

  Characters() = default;
  explicit Characters(std::vector<Range> ranges);
  static Characters all() { return Characters().complement(); }

  const std::vector<Range>& ranges() const { return ranges_; }
  bool empty() const { return ranges_.empty(); }
  bool contains(uint32_t character) const;
  Characters with(const Characters& other) const;
  Characters complement() const;
  Characters without(const Characters& other) const;
  Characters among(const Characters& other) const { return without(other.complement()); }
  auto operator<=>(const Characters&) const = default;

 private:
  std::vector<Range> ranges_;
};

/// Edges that read one of the characters in UTF-8.
void read_utf8(Grammar& grammar, Grammar::Node from, const Characters& characters, Grammar::Node to);

}  // namespace tessera

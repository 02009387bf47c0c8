#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text {

/// SentencePiece's normalization rules as a "precompiled charsmap": the size of a double-array trie, the trie, and the
/// replacements as strings that end in zero bytes. The double array is the one of darts-clone: 32-bit units that hold
/// an offset, a label and a flag that says whether a key ends here.
class Charsmap {
 public:
  struct Rule {
    size_t length;  ///< of the key, in bytes
    std::string_view replacement;
  };

  Charsmap() = default;  ///< without rules
  /// Throws Error naming `where` when the bytes are no charsmap.
  Charsmap(const std::string& bytes, const std::string& where);

  bool empty() const { return units_.empty(); }
  std::optional<Rule> shortest_prefix(std::string_view text) const { return find(text, false); }
  std::optional<Rule> longest_prefix(std::string_view text) const { return find(text, true); }

 private:
  std::optional<Rule> find(std::string_view text, bool longest) const;
  std::optional<Rule> rule(size_t length, size_t offset) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace tessera::text

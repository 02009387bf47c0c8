#pragma once
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "text/parts.h"
#include "text/trie.h"

namespace tessera::text {

struct AddedToken {
  int64_t id = 0;
  std::string content;
  bool single_word = false;  ///< only where it is not part of a longer word
  bool lstrip = false;       ///< takes the white space before it with it
  bool rstrip = false;
  bool normalized = false;  ///< searched for after normalization, as its own normalized form
  bool special = false;     ///< skipped when decoding
};

/// Tokens that are found in the text as they are, before the model sees it.
class AddedTokens {
 public:
  struct Segment {
    AlignedText text;
    std::optional<int64_t> id;  ///< of the added token that this segment is
  };

  void add(AddedToken token);
  /// A token of the model that decoding skips but that is not searched for.
  void add_special(const std::string& content) { special_.insert(content); }
  /// Call once after the last `add`.
  void finish(const Normalizer* normalizer);

  /// Cuts the raw text at the added tokens and normalizes what lies between.
  std::vector<Segment> split(AlignedText text, const Normalizer* normalizer) const;

  const std::set<std::string>& special() const { return special_; }
  bool is_special(const std::string& content) const { return special_.contains(content); }
  std::optional<int64_t> find(std::string_view content) const;
  std::optional<std::string> token(int64_t id) const;
  int64_t size() const { return tokens_.empty() ? 0 : tokens_.rbegin()->first + 1; }  ///< highest id plus one

 private:
  void cut(AlignedText text, const Trie& trie, std::vector<Segment>& segments) const;

  std::map<int64_t, AddedToken> tokens_;
  std::map<std::string, int64_t, std::less<>> ids_;
  std::set<std::string> special_;
  std::vector<std::string> patterns_;  // what the tries point to
  Trie raw_, normalized_;
};

}  // namespace tessera::text

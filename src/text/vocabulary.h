#pragma once
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/json_node.h"

namespace tessera::text {

/// Tokens and their ids, in both directions. Not copyable: the index points into the stored tokens.
class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;
  Vocabulary(Vocabulary&&) = default;

  /// `{"token": id, ...}`.
  static Vocabulary from(const JsonNode& node);

  /// Where a token comes twice, the later id is the one that it is found by. Ids are below `kMaxId`.
  void add(std::string token, int64_t id);
  std::optional<int64_t> find(std::string_view token) const;
  std::optional<std::string> token(int64_t id) const;
  int64_t size() const { return static_cast<int64_t>(by_id_.size()); }  ///< highest id plus one

  static constexpr int64_t kMaxId = int64_t{1} << 24;  // guards the memory against a damaged file

 private:
  std::deque<std::string> tokens_;  // a deque keeps its elements where they are
  std::unordered_map<std::string_view, int64_t> ids_;
  std::vector<const std::string*> by_id_;
};

}  // namespace tessera::text

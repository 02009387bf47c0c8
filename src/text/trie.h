#pragma once
#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace tessera::text {

/// Finds every key that a text begins with, in one walk. Built once from all keys; the children of a node lie side by
/// side, ordered by their byte.
class Trie {
 public:
  Trie() = default;
  /// Keys with their values; of equal keys the last counts. Empty keys are never found.
  explicit Trie(std::vector<std::pair<std::string_view, int32_t>> keys) {
    std::stable_sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    nodes_.push_back({});
    std::vector<Range> ranges = {{0, keys.size(), 0}};
    for (size_t node = 0; node < nodes_.size(); ++node) expand(keys, ranges, node);
  }

  bool empty() const { return nodes_.size() < 2; }

  /// Calls `found(length, value)` for every key that stands at the beginning of `text`, shortest first.
  template <class F>
  void prefixes(std::string_view text, F found) const {
    if (nodes_.empty()) return;
    const Node* node = &nodes_[0];
    for (size_t depth = 0; depth < text.size(); ++depth) {
      node = child(*node, static_cast<unsigned char>(text[depth]));
      if (!node) return;
      if (node->value >= 0) found(depth + 1, node->value);
    }
  }

 private:
  struct Node {
    uint32_t first = 0;  // index of the first child
    int32_t value = -1;  // of the key that ends here
    uint16_t count = 0;  // children
    unsigned char byte = 0;
  };
  struct Range {  // the keys that a node stands for: [begin, end), which agree in their first `depth` bytes
    size_t begin, end, depth;
  };

  void expand(const std::vector<std::pair<std::string_view, int32_t>>& keys, std::vector<Range>& ranges, size_t node) {
    auto [begin, end, depth] = ranges[node];
    while (begin < end && keys[begin].first.size() == depth) nodes_[node].value = keys[begin++].second;
    if (depth == 0) nodes_[node].value = -1;
    nodes_[node].first = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      const char byte = keys[begin].first[depth];
      size_t stop = begin;
      while (stop < end && keys[stop].first[depth] == byte) ++stop;
      ranges.push_back({begin, stop, depth + 1});
      nodes_.push_back({0, -1, 0, static_cast<unsigned char>(byte)});
      ++nodes_[node].count;
      begin = stop;
    }
  }

  const Node* child(const Node& node, unsigned char byte) const {
    const Node* first = nodes_.data() + node.first;
    if (node.count == 256) return first + byte;
    const Node* last = first + node.count;
    const Node* at = std::lower_bound(first, last, byte, [](const Node& a, unsigned char b) { return a.byte < b; });
    return at != last && at->byte == byte ? at : nullptr;
  }

  std::vector<Node> nodes_;
};

}  // namespace tessera::text

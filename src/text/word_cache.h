#pragma once
#include <array>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tessera::text {

/// Remembers what words became, for several threads at once. Words repeat: most of a text is found here.
template <class Value>
class WordCache {
 public:
  static constexpr size_t kMaxWord = 128;    // longer words hardly repeat
  static constexpr size_t kMaxWords = 4096;  // per shard; a full shard takes no more

  std::optional<Value> find(std::string_view word) const {
    Shard& shard = shard_of(word);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.words.find(word);
    return found == shard.words.end() ? std::nullopt : std::optional(found->second);
  }

  void add(std::string_view word, const Value& value) const {
    Shard& shard = shard_of(word);
    const std::lock_guard lock(shard.mutex);
    if (shard.words.size() < kMaxWords) shard.words.emplace(word, value);
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, Value, Hash, std::equal_to<>> words;
  };
  Shard& shard_of(std::string_view word) const { return shards_[Hash()(word) % shards_.size()]; }

  mutable std::array<Shard, 16> shards_;
};

}  // namespace tessera::text

#pragma once
#include <set>
#include <string>

#include "core/options.h"

namespace tessera {

/// Reads a published config.json. Such files carry dozens of keys that do not matter to the arithmetic and spell others
/// in two ways; so every key must be read, ignored by name, or be one of the bookkeeping keys that all models carry.
/// done() makes an error of the others: what could change the result and is not known must not pass.
class PublishedConfig {
 public:
  PublishedConfig(Json json, std::string where);
  ~PublishedConfig() = default;

  /// The value of the first of `keys` (separated by '|') that is there, else `otherwise`; null counts as absent.
  template <class T>
  T get(const std::string& keys, T otherwise) {
    T value = otherwise;
    if (const Json* found = find(keys)) detail::read_value(*found, value, where_ + ": " + last_);
    return value;
  }
  /// The same where there is no sensible default. @throws Error when the key is missing
  template <class T>
  T require(const std::string& keys) {
    if (!find(keys)) missing(keys);
    return get<T>(keys, T{});
  }
  /// A size that is one number or a pair: always the pair {height, width}.
  std::vector<int64_t> pair(const std::string& keys, int64_t otherwise);
  /// The nested object under `key`; empty when absent.
  PublishedConfig nested(const std::string& key);
  bool has(const std::string& key) const { return json_.contains(key) && !json_.at(key).is_null(); }

  /// Keys that do not change what the model computes.
  void ignore(const std::vector<std::string>& keys) { used_.insert(keys.begin(), keys.end()); }
  /// Throws unless the value, where present, is this one: what is not implemented must not be asked for.
  template <class T>
  void expect(const std::string& key, const T& only) {
    if (!(get<T>(key, only) == only)) unsupported(key);
  }
  /// @throws Error naming a key that nobody read
  void done() const;

  const Json& json() const { return json_; }
  const std::string& where() const { return where_; }

 private:
  const Json* find(const std::string& keys);
  [[noreturn]] void missing(const std::string& keys) const;
  [[noreturn]] void unsupported(const std::string& key) const;

  Json json_;
  std::string where_, last_;
  std::set<std::string> used_;
};

}  // namespace tessera

#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace tessera::text {

/// A place in a JSON document that knows its path, so that every error says where it stands
/// ("tokenizer.json: model.merges[3]").
class JsonNode {
 public:
  JsonNode(const nlohmann::json& value, std::string file, std::string path = "")
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  /// File and path, as errors name it.
  std::string where() const { return path_.empty() ? file_ : file_ + ": " + path_; }
  [[noreturn]] void fail(const std::string& problem, const std::string& remedy = "") const;

  /// True where the key is there and not null.
  bool has(const std::string& key) const;
  JsonNode at(const std::string& key) const;
  JsonNode at(size_t index) const;
  size_t size() const;  ///< of an array

  std::string string() const;
  int64_t integer() const;
  double number() const;
  bool boolean() const;
  char32_t character() const;  ///< a string of exactly one character

  std::string string(const std::string& key, const std::string& fallback) const;
  int64_t integer(const std::string& key, int64_t fallback) const;
  bool boolean(const std::string& key, bool fallback) const;

  /// The "type" of a component.
  std::string type() const { return at("type").string(); }
  /// What every factory says at its end.
  [[noreturn]] void unknown(const std::string& kind) const;

 private:
  const nlohmann::json* value_;
  std::string file_, path_;
};

/// Parses bytes; a mistake in the syntax is an Error that names file and byte.
nlohmann::json parse_json(const std::string& bytes, const std::string& file);

}  // namespace tessera::text

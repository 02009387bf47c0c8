#include "text/json_node.h"

#include "core/error.h"
#include "text/utf8.h"

namespace tessera::text {

void JsonNode::fail(const std::string& problem, const std::string& remedy) const {
  throw Error(problem, where(), remedy);
}

void JsonNode::unknown(const std::string& kind) const {
  fail("unknown " + kind + " '" + type() + "'", "the file needs a newer version of Tessera, or is damaged");
}

bool JsonNode::has(const std::string& key) const {
  if (!value_->is_object()) return false;
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

JsonNode JsonNode::at(const std::string& key) const {
  if (!value_->is_object()) fail("expected an object, found " + std::string(value_->type_name()));
  const auto found = value_->find(key);
  if (found == value_->end()) fail("missing key '" + key + "'");
  return {*found, file_, path_.empty() ? key : path_ + "." + key};
}

JsonNode JsonNode::at(size_t index) const {
  if (index >= size()) fail("expected at least " + std::to_string(index + 1) + " entries");
  return {(*value_)[index], file_, path_ + "[" + std::to_string(index) + "]"};
}

size_t JsonNode::size() const {
  if (!value_->is_array()) fail("expected an array, found " + std::string(value_->type_name()));
  return value_->size();
}

std::string JsonNode::string() const {
  if (!value_->is_string()) fail("expected a string, found " + std::string(value_->type_name()));
  return value_->get<std::string>();
}

int64_t JsonNode::integer() const {
  if (!value_->is_number_integer()) fail("expected an integer, found " + std::string(value_->type_name()));
  return value_->get<int64_t>();
}

double JsonNode::number() const {
  if (!value_->is_number()) fail("expected a number, found " + std::string(value_->type_name()));
  return value_->get<double>();
}

bool JsonNode::boolean() const {
  if (!value_->is_boolean()) fail("expected true or false, found " + std::string(value_->type_name()));
  return value_->get<bool>();
}

char32_t JsonNode::character() const {
  const std::string text = string();
  if (text.empty()) fail("expected one character, found none");
  size_t i = 0;
  const char32_t c = next_char(text, i);
  if (i != text.size()) fail("expected one character, found '" + text + "'");
  return c;
}

std::string JsonNode::string(const std::string& key, const std::string& fallback) const {
  return has(key) ? at(key).string() : fallback;
}

int64_t JsonNode::integer(const std::string& key, int64_t fallback) const {
  return has(key) ? at(key).integer() : fallback;
}

bool JsonNode::boolean(const std::string& key, bool fallback) const { return has(key) ? at(key).boolean() : fallback; }

nlohmann::json parse_json(const std::string& bytes, const std::string& file) {
  try {
    return nlohmann::json::parse(bytes);
  } catch (const nlohmann::json::parse_error& error) {
    throw Error("not valid JSON at byte " + std::to_string(error.byte), file, "the file is damaged or incomplete");
  }
}

}  // namespace tessera::text

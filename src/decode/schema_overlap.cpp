#include "decode/schema_overlap.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "core/error.h"

namespace tessera {
namespace {

constexpr int kDeepest = 16;

const std::set<std::string>& annotations() {
  static const std::set<std::string> known = {"$schema",  "$id",         "$comment",      "$defs",    "definitions",
                                              "title",    "description", "default",       "examples", "deprecated",
                                              "readOnly", "writeOnly",   "discriminator", "$anchor"};
  return known;
}

const std::set<std::string>& keywords() {
  static const std::set<std::string> known = {"$ref",
                                              "anyOf",
                                              "oneOf",
                                              "allOf",
                                              "const",
                                              "enum",
                                              "type",
                                              "properties",
                                              "required",
                                              "items",
                                              "prefixItems",
                                              "minItems",
                                              "maxItems",
                                              "minLength",
                                              "maxLength",
                                              "pattern",
                                              "format",
                                              "minimum",
                                              "maximum",
                                              "exclusiveMinimum",
                                              "exclusiveMaximum",
                                              "additionalProperties"};
  return known;
}

const std::vector<std::string>& types() {
  static const std::vector<std::string> all = {"object", "array", "string", "number", "integer", "boolean", "null"};
  return all;
}

/// The values of const or enum; none where it has neither.
std::optional<OrderedJson> values_of(const OrderedJson& schema) {
  if (schema.contains("const")) return OrderedJson::array({schema["const"]});
  if (schema.contains("enum")) return schema["enum"];
  return std::nullopt;
}

std::set<std::string> kinds_of(const OrderedJson& schema, const std::string& where) {
  std::set<std::string> kinds;
  const auto values = values_of(schema);
  for (const std::string& type : schema_types(schema, where))
    if (!values ||
        std::any_of(values->begin(), values->end(), [&](const auto& value) { return is_of_type(value, type); }))
      kinds.insert(type == "integer" ? "number" : type);
  return kinds;
}

bool requires_property(const OrderedJson& schema, const std::string& name) {
  const OrderedJson required = schema.value("required", OrderedJson::array());
  return std::find(required.begin(), required.end(), OrderedJson(name)) != required.end();
}

const OrderedJson& resolved(const OrderedJson& schema, const OrderedJson& root, const std::string& where) {
  const OrderedJson* found = &schema;
  for (int i = 0; i < kDeepest && found->is_object() && found->contains("$ref") && (*found)["$ref"].is_string(); ++i)
    found = &find_reference(root, (*found)["$ref"].get<std::string>(), where);
  return *found;
}

}  // namespace

bool is_annotation(const std::string& keyword) { return annotations().contains(keyword); }

void check_schema_keywords(const OrderedJson& schema, const std::string& where) {
  for (const auto& [key, value] : schema.items())
    if (!is_annotation(key) && !keywords().contains(key))
      throw Error("the keyword '" + key + "' is not known", where, "leave it out, and check the answer for it");
}

std::vector<std::string> schema_types(const OrderedJson& schema, const std::string& where) {
  std::vector<std::string> wanted;
  const OrderedJson type = schema.value("type", OrderedJson());
  if (type.is_null() && !schema.contains("type")) wanted = types();
  if (type.is_string()) wanted = {type.get<std::string>()};
  if (type.is_array())
    for (const OrderedJson& one : type) wanted.push_back(one.is_string() ? one.get<std::string>() : one.dump());
  if (wanted.empty()) throw Error("is neither a type nor a list of types", where + "/type");
  for (const std::string& one : wanted)
    if (std::find(types().begin(), types().end(), one) == types().end())
      throw Error("'" + one + "' is no type", where + "/type", "object, array, string, number, integer, boolean, null");
  const bool number = std::find(wanted.begin(), wanted.end(), "number") != wanted.end();
  if (number) std::erase(wanted, "integer");
  return wanted;
}

bool is_of_type(const OrderedJson& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  return value.is_number_integer() ||
         (value.is_number_float() && value.get<double>() == std::floor(value.get<double>()));
}

const OrderedJson& find_reference(const OrderedJson& root, const std::string& reference, const std::string& where) {
  if (!reference.starts_with("#"))
    throw Error("'" + reference + "' is in another document", where + "/$ref", "copy it into $defs");
  try {
    return root.at(OrderedJson::json_pointer(reference.substr(1)));
  } catch (const nlohmann::json::exception&) {
    throw Error("'" + reference + "' refers to nothing", where + "/$ref");
  }
}

bool surely_disjoint(const OrderedJson& first, const OrderedJson& second, const OrderedJson& root,
                     const std::string& where, int depth) {
  if (depth > kDeepest) return false;
  const OrderedJson &a = resolved(first, root, where), &b = resolved(second, root, where);
  if (a == OrderedJson(false) || b == OrderedJson(false)) return true;
  if (!a.is_object() || !b.is_object()) return false;
  for (const auto& [one, other] : {std::pair(&a, &b), std::pair(&b, &a)})
    for (const char* key : {"anyOf", "oneOf", "allOf"})
      if (one->contains(key))
        return std::all_of((*one)[key].begin(), (*one)[key].end(), [&, other = other](const OrderedJson& part) {
          return surely_disjoint(part, *other, root, where, depth + 1);
        });
  const auto values_a = values_of(a), values_b = values_of(b);
  if (values_a && values_b)
    return std::none_of(values_a->begin(), values_a->end(), [&](const OrderedJson& value) {
      return std::find(values_b->begin(), values_b->end(), value) != values_b->end();
    });
  const auto kinds_a = kinds_of(a, where), kinds_b = kinds_of(b, where);
  std::set<std::string> common;
  std::set_intersection(kinds_a.begin(), kinds_a.end(), kinds_b.begin(), kinds_b.end(),
                        std::inserter(common, common.end()));
  if (common.empty()) return true;
  if (common != std::set<std::string>{"object"}) return false;
  const OrderedJson properties = a.value("properties", OrderedJson::object());
  for (const auto& [name, schema] : properties.items())
    if (requires_property(a, name) && requires_property(b, name) && b.contains("properties") &&
        b["properties"].contains(name) && surely_disjoint(schema, b["properties"][name], root, where, depth + 1))
      return true;
  return false;
}

}  // namespace tessera

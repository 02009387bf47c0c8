#include "decode/json_schema.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "core/error.h"
#include "decode/json_text.h"
#include "decode/regular_expression.h"
#include "decode/schema_overlap.h"
#include "text/utf8.h"

namespace tessera {
namespace {

using Schema = nlohmann::ordered_json;
using Node = Grammar::Node;

constexpr int64_t kLargestInteger = 999'999'999'999'999'999;
constexpr int64_t kMostRepeats = 10'000;

const std::string kDate =
    R"(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8])))";
const std::string kTime = R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))";

const std::map<std::string, std::string>& formats() {
  static const std::map<std::string, std::string> known = {
      {"date", kDate},
      {"time", kTime},
      {"date-time", kDate + "T" + kTime},
      {"uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"}};
  return known;
}

/// A name as JSON pointers write it.
std::string pointer_part(const std::string& name) {
  std::string part;
  for (const char c : name) part += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return part;
}

class Compiler {
 public:
  Compiler(Grammar& grammar, const Schema& root, std::string where)
      : grammar_(grammar), json_(grammar), root_(root), where_(std::move(where)) {}

  void schema(const Schema& schema, Node from, Node to, const std::string& at) {
    if (schema.is_boolean()) {
      if (schema.get<bool>()) grammar_.call(from, json_.value(), to);
      return;  // false: nothing leads from here, and Grammar::trim() finds what that makes impossible
    }
    if (!schema.is_object()) fail("is neither an object nor true or false", at);
    check_schema_keywords(schema, place(at));
    if (schema.contains("$ref")) return reference(schema, from, to, at);
    for (const char* key : {"anyOf", "oneOf", "allOf"})
      if (schema.contains(key)) return combination(schema, key, from, to, at);
    if (schema.contains("const")) {
      refuse_beside(schema, "const", at);
      return literal(schema, schema["const"], from, to);
    }
    if (schema.contains("enum")) {
      refuse_beside(schema, "enum", at);
      if (!schema["enum"].is_array()) fail("is no list", at + "/enum");
      for (const Schema& value : schema["enum"]) literal(schema, value, from, to);
      return;
    }
    for (const std::string& type : schema_types(schema, place(at))) typed(schema, type, from, to, at);
  }

 private:
  std::string place(const std::string& at) const { return at.empty() ? where_ : where_ + ": " + at; }
  [[noreturn]] void fail(const std::string& what, const std::string& at, const std::string& remedy = "") const {
    throw Error(what, place(at), remedy);
  }
  Node behind(Node from, Grammar::Rule rule) {
    const Node to = grammar_.node();
    grammar_.call(from, rule, to);
    return to;
  }
  Node behind(Node from, const std::string& text) {
    const Node to = grammar_.node();
    grammar_.read(from, text, to);
    return to;
  }
  int64_t count(const Schema& schema, const char* key, int64_t otherwise, const std::string& at) const {
    if (!schema.contains(key)) return otherwise;
    const double value = schema[key].is_number() ? schema[key].get<double>() : -1;
    if (value < 0 || value != std::floor(value)) fail("is no count", at + "/" + key);
    if (value > kMostRepeats) fail("is above " + std::to_string(kMostRepeats), at + "/" + key, "leave it out");
    return static_cast<int64_t>(value);
  }

  void reference(const Schema& schema, Node from, Node to, const std::string& at) {
    refuse_beside(schema, "$ref", at);
    if (!schema["$ref"].is_string()) fail("is no string", at + "/$ref");
    const std::string target = schema["$ref"];
    auto known = references_.find(target);
    if (known == references_.end()) {
      known = references_.emplace(target, grammar_.rule()).first;
      const Grammar::Rule rule = known->second;
      this->schema(find_reference(root_, target, place(at)), grammar_.begin(rule), grammar_.end(rule),
                   target.substr(1));
    }
    grammar_.call(from, known->second, to);
  }

  void refuse_beside(const Schema& schema, const std::string& key, const std::string& at) const {
    for (const auto& [other, value] : schema.items())
      if (other != key && !is_annotation(other) && !(other == "type" && (key == "const" || key == "enum")))
        fail("'" + other + "' beside '" + key + "' is not known", at);
  }

  void combination(const Schema& schema, const std::string& key, Node from, Node to, const std::string& at) {
    refuse_beside(schema, key, at);
    const Schema& parts = schema[key];
    if (!parts.is_array() || parts.empty()) fail("is no list of schemas", at + "/" + key);
    if (key == "allOf" && parts.size() > 1)
      fail("more than one part is not known", at + "/allOf", "write them as one schema");
    for (size_t i = 0; i < parts.size(); ++i) {
      for (size_t j = 0; key == "oneOf" && j < i; ++j)
        if (!surely_disjoint(parts[j], parts[i], root_, place(at)))
          fail("parts " + std::to_string(j) + " and " + std::to_string(i) + " may hold at once", at + "/oneOf",
               "use anyOf, or a required property whose const differs");
      this->schema(parts[i], from, to, at + "/" + key + "/" + std::to_string(i));
    }
  }

  /// A value of enum or const, where the type beside it allows it.
  void literal(const Schema& schema, const Schema& value, Node from, Node to) {
    const auto types = schema_types(schema, where_);
    const bool fits =
        std::any_of(types.begin(), types.end(), [&](const auto& type) { return is_of_type(value, type); });
    if (fits) grammar_.read(from, value.dump(), to);
  }

  void typed(const Schema& schema, const std::string& type, Node from, Node to, const std::string& at) {
    if (type == "object") return object(schema, from, to, at);
    if (type == "array") return array(schema, from, to, at);
    if (type == "string") return string(schema, from, to, at);
    if (type == "integer") return integer(schema, from, to, at);
    if (type == "number") {
      for (const char* key : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
        if (schema.contains(key)) fail("bounds of a number are not known", at + "/" + key, "make it an integer");
      grammar_.call(from, json_.number(), to);
    } else if (type == "boolean") {
      for (const char* word : {"true", "false"}) grammar_.read(from, word, to);
    } else {
      grammar_.read(from, "null", to);
    }
  }

  void integer(const Schema& schema, Node from, Node to, const std::string& at) {
    double low = -static_cast<double>(kLargestInteger), high = -low;
    const auto bound = [&](const char* key) -> std::optional<double> {
      if (!schema.contains(key)) return std::nullopt;
      if (!schema[key].is_number()) fail("is no number", at + "/" + key);
      return schema[key].get<double>();
    };
    if (const auto value = bound("minimum")) low = std::max(low, std::ceil(*value));
    if (const auto value = bound("exclusiveMinimum")) low = std::max(low, std::floor(*value) + 1);
    if (const auto value = bound("maximum")) high = std::min(high, std::floor(*value));
    if (const auto value = bound("exclusiveMaximum")) high = std::min(high, std::ceil(*value) - 1);
    if (low > high) return;
    const auto whole = [](double value) {
      return std::clamp(static_cast<int64_t>(value), -kLargestInteger, kLargestInteger);
    };
    if (whole(low) == -kLargestInteger && whole(high) == kLargestInteger)
      grammar_.call(from, json_.integer(), to);
    else
      read_expression(grammar_, from, integer_range(whole(low), whole(high)), to, place(at));
  }

  void string(const Schema& schema, Node from, Node to, const std::string& at) {
    const bool lengths = schema.contains("minLength") || schema.contains("maxLength");
    if (lengths + schema.contains("pattern") + schema.contains("format") > 1)
      fail("pattern, format and lengths of one string are not known together", at, "say it in the pattern");
    Node inside = behind(from, "\"");
    if (schema.contains("pattern") || schema.contains("format")) {
      const bool pattern = schema.contains("pattern");
      const std::string key = pattern ? "pattern" : "format";
      if (!schema[key].is_string()) fail("is no string", at + "/" + key);
      const std::string text = schema[key];
      if (!pattern && !formats().contains(text))
        fail("the format '" + text + "' is not known", at + "/format", "give a pattern");
      const Node end = grammar_.node();
      read_expression(grammar_, inside, pattern ? text : formats().at(text), end, place(at + "/" + key),
                      {.whole = !pattern, .writer = write_in_json});
      grammar_.read(end, "\"", to);
      return;
    }
    const int64_t least = count(schema, "minLength", 0, at), most = count(schema, "maxLength", -1, at);
    for (int64_t i = 0; i < least; ++i) inside = behind(inside, json_.character());
    if (most < 0) {
      const Node loop = grammar_.node();
      grammar_.skip(inside, loop);
      grammar_.call(loop, json_.character(), loop);
      grammar_.read(loop, "\"", to);
      return;
    }
    for (int64_t i = least; i <= most; ++i) {
      grammar_.read(inside, "\"", to);
      if (i < most) inside = behind(inside, json_.character());
    }
  }

  void array(const Schema& schema, Node from, Node to, const std::string& at) {
    const Schema first = schema.value("prefixItems", Schema::array()), rest = schema.value("items", Schema(true));
    if (!first.is_array()) fail("is no list of schemas", at + "/prefixItems");
    const int64_t least = count(schema, "minItems", 0, at), most = count(schema, "maxItems", -1, at);
    const auto fixed = static_cast<int64_t>(first.size());
    Node inside = behind(from, "[");
    if (least == 0) grammar_.read(inside, "]", to);
    for (int64_t i = 0; i < std::max({fixed, least, most}); ++i) {
      if (most >= 0 && i >= most) return;
      const Node item = i == 0 ? inside : behind(inside, json_.comma()), end = grammar_.node();
      if (i < fixed)
        this->schema(first[static_cast<size_t>(i)], item, end, at + "/prefixItems/" + std::to_string(i));
      else
        grammar_.call(item, item_rule(rest, at), end);
      if (i + 1 >= least) grammar_.read(end, "]", to);
      inside = end;
    }
    if (most >= 0) return;
    const bool none = std::max(fixed, least) == 0;
    const Node item = grammar_.node(), end = grammar_.node();
    if (none)
      grammar_.skip(inside, item);
    else
      grammar_.call(inside, json_.comma(), item);
    grammar_.call(item, item_rule(rest, at), end);
    grammar_.call(end, json_.comma(), item);
    grammar_.read(end, "]", to);
  }

  /// One rule serves all items.
  Grammar::Rule item_rule(const Schema& items, const std::string& at) { return rule_of(items, at + "/items"); }
  Grammar::Rule rule_of(const Schema& schema, const std::string& at) {
    const auto [known, fresh] = rules_.try_emplace(at, -1);
    if (!fresh) return known->second;
    const Grammar::Rule rule = known->second = grammar_.rule();
    this->schema(schema, grammar_.begin(rule), grammar_.end(rule), at);
    return rule;
  }

  struct Property {
    std::string name;
    Schema schema;
    bool required;
    std::string at;
  };

  std::vector<Property> properties_of(const Schema& schema, const Schema& others, const std::string& at) const {
    std::vector<Property> all;
    std::set<std::string> required;
    const Schema names = schema.value("required", Schema::array());
    if (!names.is_array()) fail("is no list of names", at + "/required");
    for (const Schema& name : names) {
      if (!name.is_string()) fail("is no list of names", at + "/required");
      required.insert(name.get<std::string>());
    }
    const Schema given = schema.value("properties", Schema::object());
    if (!given.is_object()) fail("is no object", at + "/properties");
    for (const auto& [name, value] : given.items())
      all.push_back({name, value, required.erase(name) > 0, at + "/properties/" + pointer_part(name)});
    for (const Schema& name : names)  // what is required and not described follows the rule for the others
      if (required.erase(name.get<std::string>()) > 0)
        all.push_back({name, others, true, at + "/additionalProperties"});
    return all;
  }

  /// Two rows of nodes, one for objects in which nothing has come yet, one for those in which a comma is due.
  void object(const Schema& schema, Node from, Node to, const std::string& at) {
    const bool described = schema.contains("properties");
    const Schema others = schema.value("additionalProperties", Schema(true));
    const bool more = schema.contains("additionalProperties") ? others != Schema(false) : !described;
    const auto properties = properties_of(schema, others, at);
    if (properties.empty() && more && others == Schema(true)) return grammar_.call(from, json_.object(), to);
    Node empty = behind(from, "{"), begun = grammar_.node();
    for (const Property& property : properties) {
      const Node next_empty = grammar_.node(), next_begun = grammar_.node(), key = grammar_.node();
      if (!property.required) grammar_.skip(empty, next_empty), grammar_.skip(begun, next_begun);
      grammar_.skip(empty, key);
      grammar_.call(begun, json_.comma(), key);
      const Node value = behind(behind(key, Schema(property.name).dump()), json_.colon());
      this->schema(property.schema, value, next_begun, property.at);
      empty = next_empty, begun = next_begun;
    }
    if (more) additional(properties, others, empty, begun, at + "/additionalProperties");
    grammar_.read(empty, "}", to);
    grammar_.read(begun, "}", to);
  }

  void additional(const std::vector<Property>& taken, const Schema& schema, Node empty, Node begun,
                  const std::string& at) {
    std::vector<std::string> names;
    for (const Property& property : taken) names.push_back(property.name);
    const Node key = grammar_.node(), behind_key = grammar_.node();
    grammar_.skip(empty, key);
    grammar_.call(begun, json_.comma(), key);
    other_name(behind(key, "\""), names, 0, behind_key);
    grammar_.call(behind(behind_key, json_.colon()), rule_of(schema, at), begun);
  }

  /// A name that is none of these, which agree in their first `depth` bytes, with the quote behind it. It is written
  /// without escapes, which could spell one of them.
  void other_name(Node from, const std::vector<std::string>& names, size_t depth, Node to);

  Grammar& grammar_;
  JsonRules json_;
  const Schema& root_;
  std::string where_;
  std::map<std::string, Grammar::Rule> references_, rules_;
};

void Compiler::other_name(Node from, const std::vector<std::string>& names, size_t depth, Node to) {
  const Characters free = Characters({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}).complement();
  std::map<std::string, std::vector<std::string>> branches;  // by the next character
  bool taken = false;
  for (const std::string& name : names) {
    if (name.size() == depth) {
      taken = true;
      continue;
    }
    size_t end = depth;
    text::next_char(name, end);
    branches[name.substr(depth, end - depth)].push_back(name);
  }
  if (!taken) grammar_.read(from, "\"", to);
  Characters others = free;
  for (const auto& [character, rest] : branches) {
    size_t i = 0;
    const uint32_t code = text::next_char(character, i);
    others = others.without(Characters({{code, code}}));
    if (free.contains(code)) other_name(behind(from, character), rest, depth + character.size(), to);
  }
  const Node loose = grammar_.node();
  read_utf8(grammar_, from, others, loose);
  read_utf8(grammar_, loose, free, loose);
  grammar_.read(loose, "\"", to);
}

}  // namespace

Grammar schema_grammar(const Schema& schema, const std::string& where) {
  Grammar grammar;
  const Grammar::Rule whole = grammar.rule();
  Compiler(grammar, schema, where).schema(schema, grammar.begin(whole), grammar.end(whole), "");
  return grammar;
}

}  // namespace tessera

// Jinja's filters of one value.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "text/jinja_builtins.h"
#include "text/jinja_strings.h"
#include "text/utf8.h"

namespace tessera::text::jinja {
namespace {

using V = const Value&;
using A = const Arguments&;

Value fallback(V value, A a) {
  const bool use = value.is<Undefined>() || (truth(a.get(1, "boolean", false)) && !truth(value));
  return use ? a.get(0, "default_value", "") : value;
}

Value escaped(V value, A) {
  std::string text = to_text(value);
  using Pair = std::pair<const char*, const char*>;
  for (const auto& [from, to] : {Pair{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}})
    text = replace(text, from, to, -1);
  return text;
}

/// The number at the beginning of a text of digits alone.
template <class T>
std::optional<T> read_number(const std::string& text) {
  const std::string trimmed = strip(text, true, true);
  const std::string digits = trimmed.starts_with('+') ? trimmed.substr(1) : trimmed;
  T number{};
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

Value to_integer(V value, A a) {
  const Value otherwise = a.get(0, "default", 0);
  if (a.find(1, "base")) throw Error("the filter 'int' knows no other base than 10");
  if (const auto* real = value.as<double>())
    return std::abs(*real) < 9e18 ? Value(static_cast<int64_t>(*real)) : otherwise;
  if (const auto* text = value.as<std::string>()) {
    if (const auto whole = read_number<int64_t>(*text)) return *whole;
    const auto real = read_number<double>(*text);
    return real && std::abs(*real) < 9e18 ? Value(static_cast<int64_t>(*real)) : otherwise;
  }
  return value.is_number() ? Value(integer(value, "int")) : otherwise;
}

Value to_float(V value, A a) {
  if (value.is_number()) return number(value, "float");
  const auto* text = value.as<std::string>();
  const auto real = text ? read_number<double>(*text) : std::nullopt;
  return real ? Value(*real) : a.get(0, "default", 0.0);
}

Value absolute(V value, A) {
  if (value.is<double>()) return std::abs(*value.as<double>());
  return integer(value, "abs") < 0 ? negative(value) : Value(integer(value, "abs"));
}

Value rounded(V value, A a) {
  const int64_t precision = integer(a.get(0, "precision", 0), "precision");
  const std::string method = to_text(a.get(1, "method", "common"));
  const double factor = std::pow(10.0, static_cast<double>(precision)), x = number(value, "round") * factor;
  if (method == "ceil") return std::ceil(x) / factor;
  if (method == "floor") return std::floor(x) / factor;
  if (method != "common") throw Error("method must be common, ceil or floor");
  return std::nearbyint(x) / factor;
}

Value indented(V value, A a) {
  const Value width = a.get(0, "width", 4);
  const std::string space =
      width.is<std::string>() ? *width.as<std::string>() : *arithmetic("*", " ", width).as<std::string>();
  const bool first = truth(a.get(1, "first", false)), blank = truth(a.get(2, "blank", false));
  const std::vector<std::string> lines = split_lines(to_text(value) + "\n", false);
  std::string text;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) text += "\n";
    if (i > 0 ? blank || !lines[i].empty() : first) text += space;
    text += lines[i];
    check_size(text.size());
  }
  return text;
}

Value replaced(V value, A a) {
  const Value count = a.get(2, "count", None{});
  return replace(to_text(value), to_text(a.get(0, "old", Value())), to_text(a.get(1, "new", Value())),
                 count.is<None>() ? -1 : integer(count, "count"));
}

Value trimmed(V value, A a) {
  const Value set = a.get(0, "chars", None{});
  return strip(to_text(value), true, true, set.is<None>() ? "" : string(set, "chars"));
}

Value formatted(V value, A a) { return percent_format(string(value, "format"), Sequence{a.positional, true}); }

/// What transformers puts in the place of Jinja's filter: JSON as it is, not made safe for HTML.
Value as_json(V value, A a) {
  for (const auto& [name, given] : a.named)
    if (name == "ensure_ascii" && truth(given)) throw Error("tojson with ensure_ascii=true is not supported");
  const Value indent = a.find(0, "indent") && a.positional.empty() ? *a.find(9, "indent") : a.get(1, "indent", None{});
  const Value separators = a.get(2, "separators", None{});
  const auto spaces = indent.is<None>() ? std::nullopt : std::optional(integer(indent, "indent"));
  std::string item = spaces ? "," : ", ", key = ": ";
  if (const auto* pair = separators.as<Sequence>(); pair && pair->items.size() == 2)
    item = string(pair->items[0], "a separator"), key = string(pair->items[1], "a separator");
  if (spaces) check_size(static_cast<size_t>(std::max<int64_t>(*spaces, 0)) << 16);
  return to_json(value, spaces, item, key, truth(a.get(3, "sort_keys", false)));
}

Value words(V value, A) { return split_space(to_text(value), -1, false).size(); }

}  // namespace

const std::map<std::string, Builtin>& value_filters() {
  static const std::map<std::string, Builtin> kFilters = {
      {"default", fallback},
      {"d", fallback},
      {"escape", escaped},
      {"e", escaped},
      {"forceescape", escaped},
      {"safe", [](V value, A) -> Value { return to_text(value); }},
      {"string", [](V value, A) -> Value { return to_text(value); }},
      {"upper", [](V value, A) -> Value { return upper(to_text(value)); }},
      {"lower", [](V value, A) -> Value { return lower(to_text(value)); }},
      {"title", [](V value, A) -> Value { return title_words(to_text(value)); }},
      {"capitalize", [](V value, A) -> Value { return capitalize(to_text(value)); }},
      {"trim", trimmed},
      {"replace", replaced},
      {"indent", indented},
      {"format", formatted},
      {"wordcount", words},
      {"int", to_integer},
      {"float", to_float},
      {"abs", absolute},
      {"round", rounded},
      {"tojson", as_json},
      {"attr", [](V value, A a) -> Value { return attribute(value, to_text(a.get(0, "name", ""))); }},
  };
  return kFilters;
}

Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments) {
  for (const auto* filters : {&value_filters(), &sequence_filters()})
    if (const auto found = filters->find(name); found != filters->end()) return found->second(value, arguments);
  throw Error("there is no filter '" + name + "'", "", "see docs/architecture.md for what chat templates may use");
}

}  // namespace tessera::text::jinja

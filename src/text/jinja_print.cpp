// How Python writes values: str(), repr() and json.dumps().
#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "text/jinja_value.h"
#include "text/utf8.h"

namespace tessera::text::jinja {
namespace {

/// repr() of a float: the shortest digits that give the same number, with an exponent below 1e-4 and from 1e16 on.
std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const double size = std::abs(value);
  const bool exponent = size != 0 && (size < 1e-4 || size >= 1e16);
  const auto format = exponent ? std::chars_format::scientific : std::chars_format::fixed;
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr);
  if (!exponent && text.find('.') == std::string::npos) text += ".0";
  return text;
}

/// A character as an escape sequence of this many hexadecimal digits.
std::string escape(char letter, char32_t c, int digits) {
  std::string text = {'\\', letter};
  for (int i = digits - 1; i >= 0; --i) text += "0123456789abcdef"[(c >> (4 * i)) & 15];
  return text;
}

std::string quoted(const std::string& text) {
  const bool doubled = text.find('\'') != std::string::npos && text.find('"') == std::string::npos;
  const char quote = doubled ? '"' : '\'';
  std::string result(1, quote);
  for (const char c : text) {
    if (c == quote || c == '\\')
      result += {'\\', c};
    else if (c == '\n')
      result += "\\n";
    else if (c == '\r')
      result += "\\r";
    else if (c == '\t')
      result += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      result += escape('x', static_cast<unsigned char>(c), 2);
    else
      result += c;
  }
  return result + quote;
}

std::string json_string(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (const size_t special = std::string_view("\"\\\n\r\t\f\b").find(c); special != std::string_view::npos)
      result += {'\\', "\"\\nrtfb"[special]};
    else if (static_cast<unsigned char>(c) < 0x20)
      result += escape('u', static_cast<unsigned char>(c), 4);
    else
      result += c;
  }
  return result + "\"";
}

class JsonWriter {
 public:
  JsonWriter(std::optional<int64_t> indent, const std::string& item, const std::string& key, bool sort_keys)
      : indent_(indent), item_(item), key_(key), sort_keys_(sort_keys) {}

  std::string write(const Value& value) {
    if (value.is<None>()) return "null";
    if (const auto* flag = value.as<bool>()) return *flag ? "true" : "false";
    if (const auto* text = value.as<std::string>()) return json_string(*text);
    if (const auto* real = value.as<double>(); real && !std::isfinite(*real))
      return std::isnan(*real) ? "NaN" : (*real > 0 ? "Infinity" : "-Infinity");
    if (value.is_number()) return to_text(value);
    if (const auto* list = value.as<Sequence>()) {
      std::vector<std::string> parts;
      enter();
      for (const Value& item : list->items) parts.push_back(write(item));
      return joined('[', parts, ']');
    }
    if (const auto* dict = value.as<Dict>()) return write_dict(*dict);
    defined(value);
    throw Error("Object of type " + type_name(value) + " is not JSON serializable");
  }

 private:
  std::string write_dict(const Dict& dict) {
    auto entries = dict.entries;
    if (sort_keys_)
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto& a, const auto& b) { return compare(a.first, b.first) < 0; });
    std::vector<std::string> parts;
    enter();
    for (const auto& [key, item] : entries) {
      if (!key.is<std::string>() && !key.is_number() && !key.is<None>())
        throw Error("a key of type " + type_name(key) + " has no place in JSON");
      const std::string name = key.is<std::string>() ? *key.as<std::string>() : write(key);
      parts.push_back(json_string(name) + key_ + write(item));
    }
    return joined('{', parts, '}');
  }

  void enter() {
    if (++level_ > 200) throw Error("is nested too deeply for JSON");
  }

  std::string joined(char open, const std::vector<std::string>& parts, char close) {
    --level_;
    std::string text(1, open);
    const auto line = [&](int64_t level) {
      return indent_ ? "\n" + std::string(static_cast<size_t>(std::max<int64_t>(*indent_, 0) * level), ' ') : "";
    };
    for (size_t i = 0; i < parts.size(); ++i) text += (i ? item_ : "") + line(level_ + 1) + parts[i];
    if (!parts.empty()) text += line(level_);
    return text + close;
  }

  std::optional<int64_t> indent_;
  const std::string &item_, &key_;
  bool sort_keys_;
  int64_t level_ = 0;
};

}  // namespace

std::string repr(const Value& value) {
  if (const auto* text = value.as<std::string>()) return quoted(*text);
  return value.is<Undefined>() ? "Undefined" : to_text(value);
}

std::string to_text(const Value& value) {
  if (const auto* text = value.as<std::string>()) return *text;
  if (value.is<Undefined>()) return "";
  if (value.is<None>()) return "None";
  if (const auto* flag = value.as<bool>()) return *flag ? "True" : "False";
  if (const auto* whole = value.as<int64_t>()) return std::to_string(*whole);
  if (const auto* real = value.as<double>()) return float_text(*real);
  std::string text;
  if (const auto* list = value.as<Sequence>()) {
    for (const Value& item : list->items) text += (text.empty() ? "" : ", ") + repr(item);
    if (!list->tuple) return "[" + text + "]";
    return "(" + text + (list->items.size() == 1 ? ",)" : ")");
  }
  if (const auto* dict = value.as<Dict>()) {
    for (const auto& [key, item] : dict->entries) text += (text.empty() ? "" : ", ") + repr(key) + ": " + repr(item);
    return "{" + text + "}";
  }
  return "<" + value.object()->name + ">";
}

std::string to_json(const Value& value, std::optional<int64_t> indent, const std::string& item, const std::string& key,
                    bool sort_keys) {
  return JsonWriter(indent, item, key, sort_keys).write(value);
}

}  // namespace tessera::text::jinja

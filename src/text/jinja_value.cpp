#include "text/jinja_value.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "text/utf8.h"

namespace tessera::text::jinja {
namespace {

std::optional<double> numeric(const Value& value) {
  if (const auto* flag = value.as<bool>()) return *flag ? 1 : 0;
  if (const auto* whole = value.as<int64_t>()) return static_cast<double>(*whole);
  if (const auto* real = value.as<double>()) return *real;
  return std::nullopt;
}

std::optional<int64_t> whole(const Value& value) {
  if (const auto* flag = value.as<bool>()) return *flag ? 1 : 0;
  if (const auto* number = value.as<int64_t>()) return *number;
  return std::nullopt;
}

bool equal_dicts(const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
    const Value* other = b.find(entry.first);
    return other && equal(entry.second, *other);
  });
}

template <class T>
int order(const T& a, const T& b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

}  // namespace

const Value* Dict::find(const Value& key) const {
  for (const auto& [known, value] : entries)
    if (equal(known, key)) return &value;
  return nullptr;
}

void Dict::set(const Value& key, Value value) {
  for (auto& [known, old] : entries)
    if (equal(known, key)) {
      old = std::move(value);
      return;
    }
  entries.emplace_back(key, std::move(value));
}

const Value* Arguments::find(size_t place, const std::string& name) const {
  if (place < positional.size()) return &positional[place];
  for (const auto& [key, value] : named)
    if (key == name) return &value;
  return nullptr;
}

Value Arguments::get(size_t place, const std::string& name, Value fallback) const {
  const Value* given = find(place, name);
  return given ? *given : fallback;
}

bool Value::same(const Value& other) const {
  if (held_.index() != other.held_.index()) return false;
  if (is<Sequence>()) return as<Sequence>() == other.as<Sequence>();
  if (is<Dict>()) return as<Dict>() == other.as<Dict>();
  if (is<Object>()) return as<Object>() == other.as<Object>();
  return equal(*this, other);
}

std::string type_name(const Value& value) {
  if (value.is<Undefined>()) return "Undefined";
  if (value.is<None>()) return "NoneType";
  if (value.is<bool>()) return "bool";
  if (value.is<int64_t>()) return "int";
  if (value.is<double>()) return "float";
  if (value.is<std::string>()) return "str";
  if (const auto* list = value.as<Sequence>()) return list->tuple ? "tuple" : "list";
  return value.is<Dict>() ? "dict" : "function";
}

bool truth(const Value& value) {
  if (const auto real = numeric(value)) return *real != 0;
  if (const auto* text = value.as<std::string>()) return !text->empty();
  if (const auto* list = value.as<Sequence>()) return !list->items.empty();
  if (const auto* dict = value.as<Dict>()) return !dict->entries.empty();
  return value.is<Object>();
}

bool equal(const Value& a, const Value& b) {
  if (const auto x = whole(a), y = whole(b); x && y) return *x == *y;
  if (const auto x = numeric(a), y = numeric(b); x && y) return *x == *y;
  if (const auto* x = a.as<std::string>(), *y = b.as<std::string>(); x && y) return *x == *y;
  if (const auto* x = a.as<Dict>(), *y = b.as<Dict>(); x && y) return x == y || equal_dicts(*x, *y);
  if (const auto* x = a.as<Sequence>(), *y = b.as<Sequence>(); x && y)
    return x == y || (x->tuple == y->tuple &&
                      std::equal(x->items.begin(), x->items.end(), y->items.begin(), y->items.end(), equal));
  if (a.is<Object>() || b.is<Object>()) return a.is<Object>() && b.is<Object>() && a.object() == b.object();
  return (a.is<None>() && b.is<None>()) || (a.is<Undefined>() && b.is<Undefined>());
}

int compare(const Value& a, const Value& b) {
  if (const auto x = whole(defined(a)), y = whole(defined(b)); x && y) return order(*x, *y);
  if (const auto x = numeric(a), y = numeric(b); x && y) return order(*x, *y);
  if (const auto* x = a.as<std::string>(), *y = b.as<std::string>(); x && y) return x->compare(*y);
  const auto *x = a.as<Sequence>(), *y = b.as<Sequence>();
  if (!x || !y || x->tuple != y->tuple) throw Error("'" + type_name(a) + "' and '" + type_name(b) + "' have no order");
  for (size_t i = 0; i < std::min(x->items.size(), y->items.size()); ++i)
    if (!equal(x->items[i], y->items[i])) return compare(x->items[i], y->items[i]);
  return order(x->items.size(), y->items.size());
}

bool contains(const Value& container, const Value& item) {
  if (const auto* text = container.as<std::string>())
    return text->find(string(item, "what is looked for in a string")) != std::string::npos;
  if (const auto* dict = container.as<Dict>()) return dict->find(item) != nullptr;
  const std::vector<Value> all = items(container);
  return std::any_of(all.begin(), all.end(), [&](const Value& other) { return equal(other, item); });
}

int64_t length(const Value& value) {
  if (const auto* text = value.as<std::string>()) return static_cast<int64_t>(count_chars(*text));
  if (const auto* list = value.as<Sequence>()) return static_cast<int64_t>(list->items.size());
  if (const auto* dict = value.as<Dict>()) return static_cast<int64_t>(dict->entries.size());
  if (value.is<Undefined>()) return 0;
  throw Error("a value of type '" + type_name(value) + "' has no length");
}

std::vector<Value> items(const Value& value) {
  if (const auto* list = value.as<Sequence>()) return list->items;
  std::vector<Value> all;
  if (const auto* dict = value.as<Dict>())
    for (const auto& [key, entry] : dict->entries) all.push_back(key);
  else if (const auto* text = value.as<std::string>())
    for (size_t i = 0; i < text->size();) all.emplace_back(to_utf8(next_char(*text, i)));
  else if (!value.is<Undefined>())
    throw Error("'" + type_name(value) + "' is not iterable");
  return all;
}

int64_t integer(const Value& value, const std::string& purpose) {
  if (const auto number = whole(defined(value))) return *number;
  throw Error(purpose + " must be an integer, not '" + type_name(value) + "'");
}

double number(const Value& value, const std::string& purpose) {
  if (const auto real = numeric(defined(value))) return *real;
  throw Error(purpose + " must be a number, not '" + type_name(value) + "'");
}

const std::string& string(const Value& value, const std::string& purpose) {
  if (const auto* text = defined(value).as<std::string>()) return *text;
  throw Error(purpose + " must be a string, not '" + type_name(value) + "'");
}

const Value& defined(const Value& value) {
  if (const auto* undefined = value.as<Undefined>()) throw Error(undefined->message);
  return value;
}

Value from_json(const nlohmann::ordered_json& json) {
  using Kind = nlohmann::ordered_json::value_t;
  switch (json.type()) {
    case Kind::boolean:
      return json.get<bool>();
    case Kind::number_integer:
      return json.get<int64_t>();
    case Kind::number_unsigned:
      if (json.get<uint64_t>() > INT64_MAX) return json.get<double>();
      return json.get<int64_t>();
    case Kind::number_float:
      return json.get<double>();
    case Kind::string:
      return to_valid_utf8(json.get_ref<const std::string&>());
    case Kind::array: {
      std::vector<Value> list;
      for (const auto& item : json) list.push_back(from_json(item));
      return list;
    }
    case Kind::object: {
      Dict dict;
      for (const auto& [key, item] : json.items()) dict.entries.emplace_back(to_valid_utf8(key), from_json(item));
      return dict;
    }
    default:
      return None{};
  }
}

}  // namespace tessera::text::jinja

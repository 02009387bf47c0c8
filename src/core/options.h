#pragma once
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/error.h"

/// Typed options. A plain struct of values with defaults becomes readable from and writable to JSON by one line:
///
///   struct SwinOptions { int64_t window = 7; std::vector<int64_t> depths = {2, 2, 6, 2}; };
///   TESSERA_OPTIONS(SwinOptions, window, depths)
///
/// Absent keys keep their default. A key that is unknown or of the wrong type is an Error that names the key, where it
/// stands and, for an unknown one, the nearest known key.
namespace tessera {

using Json = nlohmann::json;

template <class T>
T read_options(const Json& json, const std::string& where);
template <class T>
Json write_options(const T& options);

/// The member of `known` with the smallest edit distance to `word`; empty when none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

/// Throws unless `value` is one of `known`; for options that choose among names.
void check_choice(const std::string& value, const std::vector<std::string>& known, const std::string& where);

namespace detail {

[[noreturn]] void wrong_type(const Json& json, const std::string& expected, const std::string& where);
/// True when the JSON is a whole number that fits 64 bits with sign; 3.0 is one.
bool whole_number(const Json& json, int64_t& number);
void check_keys(const Json& object, const std::vector<std::string>& known, const std::string& where);

struct NoVisitor {
  template <class T>
  void operator()(const char*, T&) {}
};

template <class T>
concept HasOptions = requires(T& t, NoVisitor& v) {
  visit_options(t, v);
};

inline void read_value(const Json& json, Json& value, const std::string&) { value = json; }

inline void read_value(const Json& json, bool& value, const std::string& where) {
  if (!json.is_boolean()) wrong_type(json, "true or false", where);
  value = json.get<bool>();
}

template <class T>
requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) void read_value(const Json& json, T& value,
                                                                            const std::string& where) {
  if constexpr (std::is_same_v<T, uint64_t>) {
    if (!json.is_number_unsigned()) wrong_type(json, "a positive integer", where);
    value = json.get<uint64_t>();
  } else {
    int64_t number = 0;
    if (!whole_number(json, number)) wrong_type(json, "an integer", where);
    value = static_cast<T>(number);
    if (static_cast<int64_t>(value) != number || (std::is_unsigned_v<T> && number < 0))
      wrong_type(json, "an integer in range", where);
  }
}

template <class T>
requires std::is_floating_point_v<T>
void read_value(const Json& json, T& value, const std::string& where) {
  if (!json.is_number()) wrong_type(json, "a number", where);
  value = json.get<T>();
}

inline void read_value(const Json& json, std::string& value, const std::string& where) {
  if (!json.is_string()) wrong_type(json, "a string", where);
  value = json.get<std::string>();
}

template <HasOptions T>
void read_value(const Json& json, T& value, const std::string& where);
template <class T>
void read_value(const Json& json, std::vector<T>& value, const std::string& where);
template <class T>
void read_value(const Json& json, std::map<std::string, T>& value, const std::string& where);

template <class T>
void read_value(const Json& json, std::optional<T>& value, const std::string& where) {
  value.reset();
  if (json.is_null()) return;
  read_value(json, value.emplace(), where);
}

template <class T>
void read_value(const Json& json, std::vector<T>& value, const std::string& where) {
  if (!json.is_array()) wrong_type(json, "a list", where);
  value.clear();
  for (size_t i = 0; i < json.size(); ++i) {
    T item{};
    read_value(json[i], item, where + "[" + std::to_string(i) + "]");
    value.push_back(std::move(item));
  }
}

template <class T>
void read_value(const Json& json, std::map<std::string, T>& value, const std::string& where) {
  if (!json.is_object()) wrong_type(json, "an object", where);
  value.clear();
  for (const auto& [key, item] : json.items()) read_value(item, value[key], where + "." + key);
}

template <HasOptions T>
void read_value(const Json& json, T& value, const std::string& where) {
  if (!json.is_object()) wrong_type(json, "an object", where);
  std::vector<std::string> known;
  auto read = [&](const char* name, auto& field) {
    known.emplace_back(name);
    if (json.contains(name)) read_value(json.at(name), field, where.empty() ? name : where + "." + name);
  };
  visit_options(value, read);
  check_keys(json, known, where);
}

template <class T>
Json write_value(const T& value) {
  if constexpr (HasOptions<const T>) {
    return write_options(value);
  } else {
    return Json(value);
  }
}
template <class T>
Json write_value(const std::optional<T>& value) {
  return value ? write_value(*value) : Json(nullptr);
}
template <class T>
Json write_value(const std::vector<T>& value) {
  Json list = Json::array();
  for (const auto& item : value) list.push_back(write_value(static_cast<const T&>(item)));
  return list;
}

template <class T>
Json write_value(const std::map<std::string, T>& value) {
  Json object = Json::object();
  for (const auto& [key, item] : value) object[key] = write_value(item);
  return object;
}

}  // namespace detail

/// @throws Error naming the key and `where` (the file or recipe section that the JSON comes from)
template <class T>
T read_options(const Json& json, const std::string& where) {
  T options{};
  detail::read_value(json, options, where);
  return options;
}

template <class T>
Json write_options(const T& options) {
  Json json = Json::object();
  auto write = [&](const char* name, const auto& field) { json[name] = detail::write_value(field); };
  visit_options(options, write);
  return json;
}

}  // namespace tessera

#define TESSERA_PARENS ()
#define TESSERA_EXPAND(...) TESSERA_EXPAND_(TESSERA_EXPAND_(TESSERA_EXPAND_(TESSERA_EXPAND_(__VA_ARGS__))))
#define TESSERA_EXPAND_(...) TESSERA_EXPAND__(TESSERA_EXPAND__(TESSERA_EXPAND__(TESSERA_EXPAND__(__VA_ARGS__))))
#define TESSERA_EXPAND__(...) TESSERA_EXPAND___(TESSERA_EXPAND___(TESSERA_EXPAND___(__VA_ARGS__)))
#define TESSERA_EXPAND___(...) __VA_ARGS__
#define TESSERA_VISIT(field, ...) \
  visit(#field, options.field);   \
  __VA_OPT__(TESSERA_VISIT_AGAIN TESSERA_PARENS(__VA_ARGS__))
#define TESSERA_VISIT_AGAIN() TESSERA_VISIT

namespace tessera {

/// For a part that has nothing to choose.
struct NoOptions {};
template <class Options, class Visitor>
requires std::is_same_v<std::remove_const_t<Options>, NoOptions>
void visit_options(Options&, Visitor&) {}

}  // namespace tessera

/// Names the fields of an options struct. Stands in the namespace of the struct.
#define TESSERA_OPTIONS(Type, ...)                            \
  template <class Options, class Visitor>                     \
  requires std::is_same_v<std::remove_const_t<Options>, Type> \
  void visit_options(Options& options, Visitor& visit) { TESSERA_EXPAND(TESSERA_VISIT(__VA_ARGS__)) }

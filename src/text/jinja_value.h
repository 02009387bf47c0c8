#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// The values of a Jinja template, with the meaning that they have in Python.
namespace tessera::text::jinja {

class Value;

/// What a name that does not exist gives. It prints as nothing, is false and empty; any other use of it is an Error
/// with this message.
struct Undefined {
  std::string message = "an undefined value was used";
};
struct None {};

/// A list, or a tuple, which differs in how it prints.
struct Sequence {
  std::vector<Value> items;
  bool tuple = false;
};

/// A dictionary, which keeps the order of its keys.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  const Value* find(const Value& key) const;
  void set(const Value& key, Value value);
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;

  /// The argument at this place or of this name; null where it was not given.
  const Value* find(size_t place, const std::string& name) const;
  Value get(size_t place, const std::string& name, Value fallback) const;
};

/// What has attributes or can be called: functions, macros, methods, `loop`, namespaces.
struct Object {
  std::string name;
  std::function<Value(const Arguments&)> call;  ///< empty where it cannot be called
  Dict attributes;
  bool assignable = false;  ///< a namespace
};

/// A value. Copies of lists, dictionaries and objects refer to the same one, as in Python.
class Value {
 public:
  Value() : held_(Undefined{}) {}
  Value(Undefined value) : held_(std::move(value)) {}
  Value(None) : held_(None{}) {}
  Value(bool value) : held_(value) {}
  Value(int value) : held_(static_cast<int64_t>(value)) {}
  Value(int64_t value) : held_(value) {}
  Value(size_t value) : held_(static_cast<int64_t>(value)) {}
  Value(double value) : held_(value) {}
  Value(const char* value) : held_(std::string(value)) {}
  Value(std::string value) : held_(std::move(value)) {}
  Value(Sequence value) : held_(std::make_shared<Sequence>(std::move(value))) {}
  Value(std::vector<Value> items) : Value(Sequence{std::move(items), false}) {}
  Value(Dict value) : held_(std::make_shared<Dict>(std::move(value))) {}
  Value(Object value) : held_(std::make_shared<Object>(std::move(value))) {}

  template <class T>
  bool is() const {
    return std::holds_alternative<Stored<T>>(held_);
  }
  /// The value as `T`; null where it is none.
  template <class T>
  const T* as() const {
    const auto* stored = std::get_if<Stored<T>>(&held_);
    if constexpr (std::is_same_v<Stored<T>, T>)
      return stored;
    else
      return stored ? stored->get() : nullptr;
  }
  Object* object() const {
    const auto* stored = std::get_if<std::shared_ptr<Object>>(&held_);
    return stored ? stored->get() : nullptr;
  }
  bool is_number() const { return is<int64_t>() || is<double>() || is<bool>(); }
  /// Both are the same object (lists and the like), or equal values of the same kind.
  bool same(const Value& other) const;

 private:
  template <class T>
  using Stored = std::conditional_t<std::is_same_v<T, Sequence> || std::is_same_v<T, Dict> || std::is_same_v<T, Object>,
                                    std::shared_ptr<T>, T>;

  std::variant<Undefined, None, bool, int64_t, double, std::string, std::shared_ptr<Sequence>, std::shared_ptr<Dict>,
               std::shared_ptr<Object>>
      held_;
};

/// Python's name of the kind: "str", "int", "dict", ...
std::string type_name(const Value& value);

bool truth(const Value& value);
bool equal(const Value& a, const Value& b);
/// Negative, zero or positive, as a comes before, with or after b. @throws Error where the kinds have no order
int compare(const Value& a, const Value& b);
bool contains(const Value& container, const Value& item);
/// Characters, items or keys. @throws Error for what has no length
int64_t length(const Value& value);
/// What a loop runs over: items, keys, characters. @throws Error for what cannot be run over
std::vector<Value> items(const Value& value);

/// The number as an integer (true is 1). @throws Error for anything else, naming `purpose`
int64_t integer(const Value& value, const std::string& purpose);
double number(const Value& value, const std::string& purpose);
const std::string& string(const Value& value, const std::string& purpose);
/// @throws Error with its message when the value is undefined
const Value& defined(const Value& value);

std::string to_text(const Value& value);  ///< str(value): what printing gives
std::string repr(const Value& value);     ///< repr(value): what a list prints of its items

/// JSON as json.dumps writes it, without escaping what is not ASCII. @throws Error for what JSON has no word for
/// @param indent  spaces a level; none: all in one line
/// @param item, key  what stands between items, and between key and value
std::string to_json(const Value& value, std::optional<int64_t> indent, const std::string& item, const std::string& key,
                    bool sort_keys);

Value from_json(const nlohmann::ordered_json& json);

}  // namespace tessera::text::jinja

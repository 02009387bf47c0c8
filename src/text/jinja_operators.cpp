#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "text/jinja_builtins.h"
#include "text/jinja_strings.h"
#include "text/utf8.h"

namespace tessera::text::jinja {
namespace {

[[noreturn]] void unsupported(const std::string& op, const Value& a, const Value& b) {
  throw Error("unsupported operand type(s) for " + op + ": '" + type_name(a) + "' and '" + type_name(b) + "'");
}

bool is_whole(const Value& value) { return value.is<int64_t>() || value.is<bool>(); }

Value checked(bool overflow, int64_t value) {
  if (overflow) throw Error("an integer is out of range");
  return value;
}

Value power(int64_t base, int64_t exponent) {
  if (exponent < 0) return std::pow(static_cast<double>(base), static_cast<double>(exponent));
  int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? result : base;
  for (; exponent > 0; --exponent)
    if (__builtin_mul_overflow(result, base, &result)) return checked(true, 0);
  return result;
}

void check_divisor(bool zero) {
  if (zero) throw Error("division by zero");
}

Value whole_arithmetic(const std::string& op, int64_t x, int64_t y) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+") overflow = __builtin_add_overflow(x, y, &result);
  if (op == "-") overflow = __builtin_sub_overflow(x, y, &result);
  if (op == "*") overflow = __builtin_mul_overflow(x, y, &result);
  if (op == "+" || op == "-" || op == "*") return checked(overflow, result);
  if (op == "**") return power(x, y);
  check_divisor(y == 0);
  if (op == "/") return static_cast<double>(x) / static_cast<double>(y);
  if (y == -1) return op == "%" ? Value(0) : whole_arithmetic("-", 0, x);
  // Python rounds down, and the rest has the divisor's sign.
  const int64_t rest = x % y, step = rest != 0 && (rest < 0) != (y < 0) ? 1 : 0;
  return op == "//" ? x / y - step : rest + step * y;
}

Value real_arithmetic(const std::string& op, double x, double y) {
  if (op == "+") return x + y;
  if (op == "-") return x - y;
  if (op == "*") return x * y;
  if (op == "**") return std::pow(x, y);
  check_divisor(y == 0);
  if (op == "/") return x / y;
  if (op == "//") return std::floor(x / y);
  const double rest = std::fmod(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

Value repeated(const Value& of, int64_t count) {
  const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
  const auto* list = of.as<Sequence>();
  const size_t size = list ? list->items.size() * sizeof(Value) : of.as<std::string>()->size();
  check_size(size > 0 ? times : 0);
  check_size(size * times);
  std::string text;
  Sequence items{{}, list && list->tuple};
  for (size_t i = 0; i < times && size > 0; ++i) {
    if (list)
      items.items.insert(items.items.end(), list->items.begin(), list->items.end());
    else
      text += *of.as<std::string>();
  }
  return list ? Value(std::move(items)) : Value(std::move(text));
}

bool repeatable(const Value& value) { return value.is<std::string>() || value.is<Sequence>(); }

int64_t clamped(const Value& bound, int64_t fallback, int64_t size, int64_t lowest, int64_t highest) {
  if (bound.is<None>()) return fallback;
  const int64_t index = integer(bound, "a bound of a slice");
  return std::clamp(index < 0 ? std::max(index, -size) + size - (index < -size ? 1 : 0) : index, lowest, highest);
}

}  // namespace

Value arithmetic(const std::string& op, const Value& a, const Value& b) {
  defined(a);
  if (op == "%" && a.is<std::string>()) return percent_format(*a.as<std::string>(), b);
  defined(b);
  if (is_whole(a) && is_whole(b)) return whole_arithmetic(op, integer(a, op), integer(b, op));
  if (a.is_number() && b.is_number()) return real_arithmetic(op, number(a, op), number(b, op));
  if (op == "+" && a.is<std::string>()) {
    if (!b.is<std::string>()) throw Error("can only concatenate str (not \"" + type_name(b) + "\") to str");
    return concatenate(a, b);
  }
  if (const auto* x = a.as<Sequence>(), *y = b.as<Sequence>(); op == "+" && x && y && x->tuple == y->tuple) {
    Sequence all = *x;
    check_size((all.items.size() + y->items.size()) * sizeof(Value));
    all.items.insert(all.items.end(), y->items.begin(), y->items.end());
    return all;
  }
  if (op == "*" && repeatable(a) && is_whole(b)) return repeated(a, integer(b, op));
  if (op == "*" && repeatable(b) && is_whole(a)) return repeated(b, integer(a, op));
  unsupported(op, a, b);
}

Value negative(const Value& value) {
  if (is_whole(value)) return whole_arithmetic("-", 0, integer(value, "-"));
  return -number(value, "what follows '-'");
}

bool compares(const std::string& op, const Value& a, const Value& b) {
  if (op == "==") return equal(a, b);
  if (op == "!=") return !equal(a, b);
  if (op == "in") return contains(b, a);
  if (op == "not in") return !contains(b, a);
  const int order = compare(a, b);
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  return op == ">" ? order > 0 : order >= 0;
}

Value concatenate(const Value& a, const Value& b) {
  std::string text = to_text(a);
  text += to_text(b);
  check_size(text.size());
  return text;
}

Value attribute(const Value& of, const std::string& name) {
  defined(of);
  if (const auto found = method(of, name)) return *found;
  const Dict* entries = of.is<Object>() ? &of.object()->attributes : of.as<Dict>();
  if (const Value* value = entries ? entries->find(name) : nullptr) return *value;
  const std::string owner = of.is<None>() ? "None" : type_name(of) + " object";
  return Undefined{"'" + owner + "' has no attribute '" + name + "'"};
}

Value subscript(const Value& of, const Value& index) {
  defined(of);
  if (const auto* dict = of.as<Dict>())
    if (const Value* value = dict->find(index)) return *value;
  if (index.is<std::string>()) return attribute(of, *index.as<std::string>());
  const bool countable = of.is<Sequence>() || of.is<std::string>();
  if (countable && is_whole(index)) {
    const int64_t size = length(of), at = integer(index, "index"), place = at < 0 ? at + size : at;
    if (place >= 0 && place < size) return items(of)[static_cast<size_t>(place)];
  }
  return Undefined{type_name(of) + " object has no element " + repr(index)};
}

Value slice(const Value& of, const Value& begin, const Value& end, const Value& step) {
  defined(of);
  if (!of.is<Sequence>() && !of.is<std::string>()) throw Error("'" + type_name(of) + "' cannot be sliced");
  const int64_t stride = step.is<None>() ? 1 : integer(step, "the step of a slice");
  if (stride == 0) throw Error("slice step cannot be zero");
  const std::vector<Value> all = items(of);
  const auto size = static_cast<int64_t>(all.size());
  const bool up = stride > 0;
  const int64_t first = clamped(begin, up ? 0 : size - 1, size, up ? 0 : -1, up ? size : size - 1);
  const int64_t last = clamped(end, up ? size : -1, size, up ? 0 : -1, up ? size : size - 1);
  std::vector<Value> kept;
  for (int64_t i = first; up ? i < last : i > last; i += std::clamp(stride, -size - 1, size + 1))
    kept.push_back(all[static_cast<size_t>(i)]);
  if (const auto* list = of.as<Sequence>()) return Sequence{std::move(kept), list->tuple};
  std::string text;
  for (const Value& character : kept) text += *character.as<std::string>();
  return text;
}

std::string percent_format(const std::string& format, const Value& values) {
  const auto* tuple = values.as<Sequence>();
  const std::vector<Value> all = tuple && tuple->tuple ? tuple->items : std::vector<Value>{values};
  std::string text;
  size_t used = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      text += format[i];
      continue;
    }
    const char kind = format[++i];
    if (kind == '%') {
      text += '%';
      continue;
    }
    if (used == all.size()) throw Error("not enough arguments for format string");
    const Value& value = all[used++];
    if (kind == 's')
      text += to_text(value);
    else if (kind == 'r')
      text += repr(value);
    else if (kind == 'd' || kind == 'i')
      text += std::to_string(value.is<double>() ? static_cast<int64_t>(std::clamp(*value.as<double>(), -9e18, 9e18))
                                                : integer(value, "%d"));
    else
      throw Error("the format '%" + std::string(1, kind) + "' is not supported", "", "use %s, %r or %d");
  }
  if (used < all.size() && tuple) throw Error("not all arguments converted during string formatting");
  return text;
}

}  // namespace tessera::text::jinja

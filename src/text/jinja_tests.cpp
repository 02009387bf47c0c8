// What stands behind "is".
#include "core/error.h"
#include "text/jinja_builtins.h"
#include "text/jinja_strings.h"

namespace tessera::text::jinja {
namespace {

using Tester = std::function<bool(const Value&, const Arguments&)>;
using V = const Value&;
using A = const Arguments&;

Tester comparing(const char* op) {
  return [op](V value, A a) {
    const Value* other = a.find(0, "other");
    if (!other) throw Error("a test that compares needs something to compare with");
    return compares(op, value, *other);
  };
}

bool divides(V value, A a) {
  const int64_t divisor = integer(a.get(0, "num", Value()), "the divisor");
  if (divisor == 0) throw Error("division by zero");
  return divisor == -1 || integer(value, "what is divided") % divisor == 0;
}

bool odd(V value) { return integer(value, "what is odd or even") % 2 != 0; }
bool callable(V value) { return value.is<Object>() && value.object()->call; }
bool countable(V value) {
  return value.is<std::string>() || value.is<Sequence>() || value.is<Dict>() || value.is<Undefined>();
}

const std::map<std::string, Tester>& testers() {
  static const std::map<std::string, Tester> kTests = {
      {"defined", [](V v, A) { return !v.is<Undefined>(); }},
      {"undefined", [](V v, A) { return v.is<Undefined>(); }},
      {"none", [](V v, A) { return v.is<None>(); }},
      {"boolean", [](V v, A) { return v.is<bool>(); }},
      {"true", [](V v, A) { return v.is<bool>() && *v.as<bool>(); }},
      {"false", [](V v, A) { return v.is<bool>() && !*v.as<bool>(); }},
      {"integer", [](V v, A) { return v.is<int64_t>(); }},
      {"float", [](V v, A) { return v.is<double>(); }},
      {"number", [](V v, A) { return v.is_number(); }},
      {"string", [](V v, A) { return v.is<std::string>(); }},
      {"mapping", [](V v, A) { return v.is<Dict>(); }},
      {"sequence", [](V v, A) { return countable(v); }},
      {"iterable", [](V v, A) { return countable(v); }},
      {"callable", [](V v, A) { return callable(v); }},
      {"upper", [](V v, A) { return upper(to_text(v)) == to_text(v) && lower(to_text(v)) != to_text(v); }},
      {"lower", [](V v, A) { return lower(to_text(v)) == to_text(v) && upper(to_text(v)) != to_text(v); }},
      {"even", [](V v, A) { return !odd(v); }},
      {"odd", [](V v, A) { return odd(v); }},
      {"divisibleby", divides},
      {"sameas", [](V v, A a) { return v.same(a.get(0, "other", Value())); }},
      {"in", comparing("in")},
      {"eq", comparing("==")},
      {"equalto", comparing("==")},
      {"==", comparing("==")},
      {"ne", comparing("!=")},
      {"!=", comparing("!=")},
      {"lt", comparing("<")},
      {"lessthan", comparing("<")},
      {"<", comparing("<")},
      {"le", comparing("<=")},
      {"<=", comparing("<=")},
      {"gt", comparing(">")},
      {"greaterthan", comparing(">")},
      {">", comparing(">")},
      {"ge", comparing(">=")},
      {">=", comparing(">=")},
  };
  return kTests;
}

}  // namespace

bool apply_test(const std::string& name, const Value& value, const Arguments& arguments) {
  const auto found = testers().find(name);
  if (found == testers().end()) throw Error("there is no test '" + name + "'");
  return found->second(value, arguments);
}

}  // namespace tessera::text::jinja

// Jinja's filters of lists.
#include <algorithm>

#include "core/error.h"
#include "text/jinja_builtins.h"
#include "text/jinja_strings.h"
#include "text/utf8.h"

namespace tessera::text::jinja {
namespace {

using V = const Value&;
using A = const Arguments&;

/// Follows a path such as "function.name" or "0".
Value follow(Value value, const Value& path) {
  if (!path.is<std::string>()) return subscript(value, path);
  for (const std::string& step : split(*path.as<std::string>(), ".", -1, false)) {
    const bool digits = !step.empty() && step.size() < 10 && step.find_first_not_of("0123456789") == std::string::npos;
    value = subscript(value, digits ? Value(int64_t{std::stol(step)}) : Value(step));
  }
  return value;
}

Value lowered(const Value& value) { return value.is<std::string>() ? lower(*value.as<std::string>()) : value; }

/// What items are compared by: an attribute where one is named, without regard of case unless asked for.
class Key {
 public:
  Key(A a, size_t attribute_place, size_t case_place)
      : path_(a.get(attribute_place, "attribute", None{})),
        case_sensitive_(truth(a.get(case_place, "case_sensitive", false))) {}
  Value operator()(V item) const {
    const Value value = path_.is<None>() ? item : follow(item, path_);
    return case_sensitive_ ? value : lowered(value);
  }

 private:
  Value path_;
  bool case_sensitive_;
};

Arguments after(A a, size_t count) {
  Arguments rest = a;
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<std::ptrdiff_t>(std::min(count, a.positional.size())));
  return rest;
}

/// select, reject and their forms that look at an attribute.
Builtin selection(bool wanted, bool by_attribute) {
  return [=](V value, A a) -> Value {
    const size_t place = by_attribute ? 1 : 0;
    if (by_attribute && a.positional.empty()) throw Error("the name of the attribute is missing");
    const Value* test = a.positional.size() > place ? &a.positional[place] : nullptr;
    const Arguments rest = after(a, place + 1);
    std::vector<Value> kept;
    if (!truth(value)) return kept;
    for (const Value& item : items(value)) {
      const Value tested = by_attribute ? follow(item, a.positional[0]) : item;
      const bool passes = test ? apply_test(string(*test, "the name of a test"), tested, rest) : truth(tested);
      if (passes == wanted) kept.push_back(item);
    }
    return kept;
  };
}

Value mapped(V value, A a) {
  const Value* path = nullptr;
  for (const auto& [name, given] : a.named)
    if (name == "attribute") path = &given;
  std::vector<Value> all;
  if (!truth(value)) return all;
  for (const Value& item : items(value)) {
    if (path) {
      const Value found = follow(item, *path);
      all.push_back(found.is<Undefined>() ? a.get(9, "default", found) : found);
    } else {
      if (a.positional.empty()) throw Error("map needs a filter or attribute=");
      all.push_back(apply_filter(string(a.positional[0], "the name of a filter"), item, after(a, 1)));
    }
  }
  return all;
}

Value joined(V value, A a) {
  const std::string separator = to_text(a.get(0, "d", ""));
  const Value path = a.get(1, "attribute", None{});
  std::string text;
  bool first = true;
  for (const Value& item : items(value)) {
    text += (std::exchange(first, false) ? "" : separator) + to_text(path.is<None>() ? item : follow(item, path));
    check_size(text.size());
  }
  return text;
}

Value end_of(V value, bool first) {
  const std::vector<Value> all = items(value);
  if (all.empty()) return Undefined{"No " + std::string(first ? "first" : "last") + " item, sequence was empty."};
  return first ? all.front() : all.back();
}

Value reversed(V value, A) {
  std::vector<Value> all = items(value);
  std::reverse(all.begin(), all.end());
  if (!value.is<std::string>()) return all;
  std::string text;
  for (const Value& character : all) text += *character.as<std::string>();
  return text;
}

Value sorted(V value, A a) {
  const bool descending = truth(a.get(0, "reverse", false));
  const Key key(a, 2, 1);
  std::vector<Value> all = items(value);
  std::stable_sort(all.begin(), all.end(),
                   [&](V x, V y) { return descending ? compare(key(y), key(x)) < 0 : compare(key(x), key(y)) < 0; });
  return all;
}

Value sorted_dict(V value, A a) {
  const auto* dict = value.as<Dict>();
  if (!dict) throw Error("dictsort needs a dictionary, not '" + type_name(value) + "'");
  const bool case_sensitive = truth(a.get(0, "case_sensitive", false)), descending = truth(a.get(2, "reverse", false));
  const size_t by = to_text(a.get(1, "by", "key")) == "value" ? 1 : 0;
  std::vector<Value> all;
  for (const auto& [key, item] : dict->entries) all.push_back(Sequence{{key, item}, true});
  const auto part = [&](V pair) {
    const Value& chosen = pair.as<Sequence>()->items[by];
    return case_sensitive ? chosen : lowered(chosen);
  };
  std::stable_sort(all.begin(), all.end(), [&](V x, V y) {
    return descending ? compare(part(y), part(x)) < 0 : compare(part(x), part(y)) < 0;
  });
  return all;
}

Value unique(V value, A a) {
  const Key key(a, 1, 0);
  std::vector<Value> kept, seen;
  for (const Value& item : items(value)) {
    const Value by = key(item);
    if (std::any_of(seen.begin(), seen.end(), [&](V other) { return equal(other, by); })) continue;
    seen.push_back(by);
    kept.push_back(item);
  }
  return kept;
}

Value grouped(V value, A a) {
  const Value path = a.get(0, "attribute", None{}), missing = a.get(1, "default", Value());
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : items(value)) {
    const Value found = follow(item, path);
    keyed.emplace_back(found.is<Undefined>() ? missing : found, item);
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& x, const auto& y) { return compare(lowered(x.first), lowered(y.first)) < 0; });
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed.size();) {
    const Value& by = keyed[i].first;
    std::vector<Value> members;
    for (; i < keyed.size() && equal(lowered(keyed[i].first), lowered(by)); ++i) members.push_back(keyed[i].second);
    groups.push_back(Sequence{{by, members}, true});
  }
  return groups;
}

Value extreme(V value, A a, bool largest) {
  const Key key(a, 1, 0);
  const std::vector<Value> all = items(value);
  if (all.empty()) return Undefined{"No aggregated item, sequence was empty."};
  size_t best = 0;
  for (size_t i = 1; i < all.size(); ++i) {
    const int order = compare(key(all[i]), key(all[best]));
    if (largest ? order > 0 : order < 0) best = i;
  }
  return all[best];
}

Value summed(V value, A a) {
  const Value path = a.get(0, "attribute", None{});
  Value total = a.get(1, "start", 0);
  for (const Value& item : items(value)) total = arithmetic("+", total, path.is<None>() ? item : follow(item, path));
  return total;
}

Value batched(V value, A a) {
  const int64_t size = integer(a.get(0, "linecount", Value()), "the size of a batch");
  if (size < 1) throw Error("the size of a batch must be positive");
  const Value fill = a.get(1, "fill_with", None{});
  std::vector<Value> all = items(value), batches;
  check_size(fill.is<None>() ? 0 : static_cast<size_t>(size));
  while (!fill.is<None>() && all.size() % static_cast<size_t>(size) != 0) all.push_back(fill);
  for (size_t i = 0; i < all.size(); i += static_cast<size_t>(size)) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(i);
    batches.push_back(std::vector<Value>(begin, begin + std::min<std::ptrdiff_t>(size, all.end() - begin)));
  }
  return batches;
}

Value entries(V value, A) {
  if (value.is<Undefined>()) return std::vector<Value>();
  if (!value.is<Dict>()) throw Error("Can only get item pairs from a mapping.");
  return method(value, "items")->object()->call({});
}

}  // namespace

const std::map<std::string, Builtin>& sequence_filters() {
  static const std::map<std::string, Builtin> kFilters = {
      {"length", [](V value, A) -> Value { return length(value); }},
      {"count", [](V value, A) -> Value { return length(value); }},
      {"list", [](V value, A) -> Value { return items(value); }},
      {"first", [](V value, A) { return end_of(value, true); }},
      {"last", [](V value, A) { return end_of(value, false); }},
      {"min", [](V value, A a) { return extreme(value, a, false); }},
      {"max", [](V value, A a) { return extreme(value, a, true); }},
      {"items", entries},
      {"join", joined},
      {"map", mapped},
      {"select", selection(true, false)},
      {"reject", selection(false, false)},
      {"selectattr", selection(true, true)},
      {"rejectattr", selection(false, true)},
      {"reverse", reversed},
      {"sort", sorted},
      {"dictsort", sorted_dict},
      {"unique", unique},
      {"groupby", grouped},
      {"sum", summed},
      {"batch", batched},
  };
  return kFilters;
}

}  // namespace tessera::text::jinja

#include "core/error.h"
#include "text/jinja_builtins.h"
#include "text/jinja_render.h"
#include "text/jinja_strings.h"

namespace tessera::text::jinja {
namespace {

constexpr int64_t kLongestRange = 100000;  // as in Jinja's sandbox

Value range(const Arguments& a) {
  if (a.positional.empty() || a.positional.size() > 3) throw Error("range takes one to three arguments");
  const auto bound = [&](size_t i) { return integer(a.positional[i], "an argument of range"); };
  const bool one = a.positional.size() == 1;
  const int64_t begin = one ? 0 : bound(0), end = one ? bound(0) : bound(1),
                step = a.positional.size() == 3 ? bound(2) : 1;
  if (step == 0) throw Error("range() arg 3 must not be zero");
  std::vector<Value> all;
  __int128 at = begin;
  for (; step > 0 ? at < end : at > end; at += step) {
    all.push_back(static_cast<int64_t>(at));
    if (static_cast<int64_t>(all.size()) > kLongestRange)
      throw Error("a range of more than " + std::to_string(kLongestRange) + " numbers");
  }
  return all;
}

Dict dict_of(const Arguments& a) {
  Dict dict;
  for (const Value& value : a.positional) {
    if (const auto* other = value.as<Dict>()) {
      for (const auto& [key, item] : other->entries) dict.set(key, item);
      continue;
    }
    for (const Value& pair : items(value)) {
      const auto* both = pair.as<Sequence>();
      if (!both || both->items.size() != 2) throw Error("a dictionary is made of pairs");
      dict.set(both->items[0], both->items[1]);
    }
  }
  for (const auto& [key, value] : a.named) dict.set(key, value);
  return dict;
}

Value formatted_time(const std::string& format, std::time_t now) {
  std::tm local{};
  localtime_r(&now, &local);
  // strftime gives 0 for a text that is empty as well as for one that is too long.
  std::string text(format.size() * 32 + 64, '\0');
  check_size(text.size());
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &local));
  return text;
}

}  // namespace

Dict global_functions(std::time_t now) {
  Dict names;
  const auto add = [&](const char* name, std::function<Value(const Arguments&)> call) {
    names.entries.emplace_back(name, function(name, std::move(call)));
  };
  add("range", range);
  add("dict", [](const Arguments& a) -> Value { return dict_of(a); });
  add("namespace", [](const Arguments& a) -> Value { return Object{"namespace", nullptr, dict_of(a), true}; });
  add("raise_exception", [](const Arguments& a) -> Value { throw Error(to_text(a.get(0, "message", ""))); });
  add("strftime_now", [now](const Arguments& a) {
    return formatted_time(string(a.get(0, "format", Value()), "the format of a time"), now);
  });
  return names;
}

}  // namespace tessera::text::jinja

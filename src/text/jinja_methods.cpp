// The methods of strings, lists and dictionaries that templates call. Those that would change a value are left out, as
// in the sandbox that the reference renders in.
#include <algorithm>

#include "core/error.h"
#include "text/characters.h"
#include "text/jinja_builtins.h"
#include "text/jinja_strings.h"
#include "text/utf8.h"

namespace tessera::text::jinja {
namespace {

using StringMethod = std::function<Value(const std::string&, const Arguments&)>;

const std::string& text_argument(const Arguments& a, size_t place, const std::string& name) {
  const Value* value = a.find(place, name);
  if (!value) throw Error("the argument '" + name + "' is missing");
  return string(*value, name);
}

Value list_of(const std::vector<std::string>& texts) { return std::vector<Value>(texts.begin(), texts.end()); }

StringMethod stripped(bool left, bool right) {
  return [=](const std::string& text, const Arguments& a) -> Value {
    const Value set = a.get(0, "chars", None{});
    if (set.is<None>()) return strip(text, left, right);
    const std::string& characters = string(set, "chars");
    return characters.empty() ? text : strip(text, left, right, characters);
  };
}

StringMethod separated(bool right) {
  return [=](const std::string& text, const Arguments& a) -> Value {
    const Value separator = a.get(0, "sep", None{});
    const int64_t limit = integer(a.get(1, "maxsplit", -1), "maxsplit");
    if (separator.is<None>()) return list_of(split_space(text, limit, right));
    if (string(separator, "sep").empty()) throw Error("empty separator");
    return list_of(split(text, string(separator, "sep"), limit, right));
  };
}

StringMethod partitioned(bool right) {
  return [=](const std::string& text, const Arguments& a) -> Value {
    const std::string& separator = text_argument(a, 0, "sep");
    if (separator.empty()) throw Error("empty separator");
    const auto parts = split(text, separator, 1, right);
    if (parts.size() == 2) return Sequence{{parts[0], separator, parts[1]}, true};
    return right ? Sequence{{"", "", text}, true} : Sequence{{text, "", ""}, true};
  };
}

StringMethod begins_or_ends(bool begins) {
  return [=](const std::string& text, const Arguments& a) -> Value {
    const Value* wanted = a.find(0, "prefix");
    if (!wanted) throw Error("an argument is missing");
    const auto* several = wanted->as<Sequence>();
    const std::vector<Value> all = several ? several->items : std::vector<Value>{*wanted};
    return std::any_of(all.begin(), all.end(), [&](const Value& one) {
      const std::string& part = string(one, begins ? "startswith" : "endswith");
      return begins ? text.starts_with(part) : text.ends_with(part);
    });
  };
}

StringMethod found(bool right, bool required) {
  return [=](const std::string& text, const Arguments& a) -> Value {
    const std::string& part = text_argument(a, 0, "sub");
    const size_t at = right ? text.rfind(part) : text.find(part);
    if (at != std::string::npos) return count_chars(std::string_view(text).substr(0, at));
    if (required) throw Error("substring not found");
    return -1;
  };
}

/// True where there are characters and all are of the kind.
StringMethod all_characters(bool (*kind)(char32_t)) {
  return [=](const std::string& text, const Arguments&) -> Value {
    for (size_t i = 0; i < text.size();)
      if (!kind(next_char(text, i))) return false;
    return !text.empty();
  };
}

StringMethod cased(std::string (*change)(std::string_view)) {
  return [=](const std::string& text, const Arguments&) -> Value { return change(text); };
}

StringMethod is_cased(std::string (*change)(std::string_view), std::string (*other)(std::string_view)) {
  return
      [=](const std::string& text, const Arguments&) -> Value { return change(text) == text && other(text) != text; };
}

Value joined(const std::string& text, const Arguments& a) {
  std::string result;
  bool first = true;
  for (const Value& item : items(a.get(0, "iterable", Value()))) {
    result += (std::exchange(first, false) ? "" : text) + string(item, "an item that is joined");
    check_size(result.size());
  }
  return result;
}

Value formatted(const std::string& text, const Arguments& a) {
  std::string result;
  size_t automatic = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{' && text[i] != '}') {
      result += text[i];
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == text[i]) {
      result += text[i++];
      continue;
    }
    const size_t end = text.find('}', i);
    if (text[i] == '}' || end == std::string::npos) throw Error("a brace of a format string stands alone");
    const std::string field = text.substr(i + 1, end - i - 1);
    const bool digits = field.size() < 4 && field.find_first_not_of("0123456789") == std::string::npos;
    const size_t place = field.empty() ? automatic++ : (digits ? std::stoul(field) : a.positional.size());
    const Value* value = a.find(place, field);
    if (!value) throw Error("the format field '{" + field + "}' is not supported or has no argument");
    result += to_text(*value);
    i = end;
  }
  return result;
}

Value without(const std::string& text, const std::string& part, bool begin) {
  if (part.empty() || !(begin ? text.starts_with(part) : text.ends_with(part))) return text;
  return begin ? text.substr(part.size()) : text.substr(0, text.size() - part.size());
}

Value counted(const std::string& text, const Arguments& a) {
  const std::string& part = text_argument(a, 0, "sub");
  return part.empty() ? count_chars(text) + 1 : split(text, part, -1, false).size() - 1;
}

/// Filled up to a width: -1 after the text, 1 before it, 0 on both sides.
StringMethod filled(int side) {
  return [=](const std::string& text, const Arguments& a) -> Value {
    const int64_t width = integer(a.get(0, "width", 0), "width");
    check_size(static_cast<size_t>(std::max<int64_t>(width, 0)));
    const int64_t missing = std::max<int64_t>(width - static_cast<int64_t>(count_chars(text)), 0);
    const int64_t before = side < 0 ? 0 : (side > 0 ? missing : missing / 2 + (missing & width & 1));
    const std::string fill = to_text(a.get(1, "fillchar", " "));
    const auto times = [&](int64_t count) { return *arithmetic("*", fill, count).as<std::string>(); };
    return times(before) + text + times(missing - before);
  };
}

bool is_digit(char32_t c) { return u_isdigit(static_cast<UChar32>(c)); }
bool is_letter(char32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_L_MASK) != 0; }
bool is_letter_or_number(char32_t c) { return is_letter(c) || is_numeric(c); }

const std::map<std::string, StringMethod>& string_methods() {
  using A = const Arguments&;
  using S = const std::string&;
  static const std::map<std::string, StringMethod> kMethods = {
      {"strip", stripped(true, true)},
      {"lstrip", stripped(true, false)},
      {"rstrip", stripped(false, true)},
      {"split", separated(false)},
      {"rsplit", separated(true)},
      {"partition", partitioned(false)},
      {"rpartition", partitioned(true)},
      {"startswith", begins_or_ends(true)},
      {"endswith", begins_or_ends(false)},
      {"find", found(false, false)},
      {"rfind", found(true, false)},
      {"index", found(false, true)},
      {"rindex", found(true, true)},
      {"upper", cased(upper)},
      {"lower", cased(lower)},
      {"casefold", cased(lower)},
      {"title", cased(title)},
      {"capitalize", cased(capitalize)},
      {"isupper", is_cased(upper, lower)},
      {"islower", is_cased(lower, upper)},
      {"isspace", all_characters(is_space)},
      {"isdigit", all_characters(is_digit)},
      {"isdecimal", all_characters(is_digit)},
      {"isnumeric", all_characters(is_numeric)},
      {"isalpha", all_characters(is_letter)},
      {"isalnum", all_characters(is_letter_or_number)},
      {"join", joined},
      {"format", formatted},
      {"count", counted},
      {"center", filled(0)},
      {"ljust", filled(-1)},
      {"rjust", filled(1)},
      {"splitlines", [](S text, A a) { return list_of(split_lines(text, truth(a.get(0, "keepends", false)))); }},
      {"removeprefix", [](S text, A a) { return without(text, text_argument(a, 0, "prefix"), true); }},
      {"removesuffix", [](S text, A a) { return without(text, text_argument(a, 0, "suffix"), false); }},
      {"replace",
       [](S text, A a) {
         return replace(text, text_argument(a, 0, "old"), text_argument(a, 1, "new"),
                        integer(a.get(2, "count", -1), "count"));
       }},
  };
  return kMethods;
}

std::optional<Value> dict_method(const Value& of, const std::string& name) {
  const auto entries = [of, name](const Arguments&) -> Value {
    std::vector<Value> all;
    for (const auto& [key, value] : of.as<Dict>()->entries)
      all.push_back(name == "keys" ? key : (name == "values" ? value : Value(Sequence{{key, value}, true})));
    return all;
  };
  if (name == "items" || name == "keys" || name == "values") return function(name, entries);
  if (name == "copy") return function(name, [of](const Arguments&) -> Value { return *of.as<Dict>(); });
  if (name != "get") return std::nullopt;
  return function(name, [of](const Arguments& a) -> Value {
    const Value* value = of.as<Dict>()->find(a.get(0, "key", None{}));
    return value ? *value : a.get(1, "default", None{});
  });
}

std::optional<Value> list_method(const Value& of, const std::string& name) {
  if (name != "count" && name != "index") return std::nullopt;
  return function(name, [of, name](const Arguments& a) -> Value {
    const auto& all = of.as<Sequence>()->items;
    const Value wanted = a.get(0, "value", Value());
    const auto matches = [&](const Value& item) { return equal(item, wanted); };
    if (name == "count") return static_cast<int64_t>(std::count_if(all.begin(), all.end(), matches));
    const auto place = std::find_if(all.begin(), all.end(), matches);
    if (place == all.end()) throw Error(repr(wanted) + " is not in list");
    return static_cast<int64_t>(place - all.begin());
  });
}

}  // namespace

Value function(std::string name, std::function<Value(const Arguments&)> call) {
  return Object{std::move(name), std::move(call), {}, false};
}

std::optional<Value> method(const Value& of, const std::string& name) {
  if (of.is<Dict>()) return dict_method(of, name);
  if (of.is<Sequence>()) return list_method(of, name);
  if (!of.is<std::string>()) return std::nullopt;
  const auto found = string_methods().find(name);
  if (found == string_methods().end()) return std::nullopt;
  return function(name,
                  [text = *of.as<std::string>(), &call = found->second](const Arguments& a) { return call(text, a); });
}

}  // namespace tessera::text::jinja

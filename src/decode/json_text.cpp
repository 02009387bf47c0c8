#include "decode/json_text.h"

#include <set>

#include "decode/regular_expression.h"

namespace tessera {
namespace {

const char* const kHexadecimal = "0123456789abcdef";

Characters plain() { return Characters({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}).complement(); }

std::string escaped(uint32_t c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\r':
      return "\\r";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    default:
      return std::string("\\u00") + kHexadecimal[c >> 4] + kHexadecimal[c & 15];
  }
}

/// The non-negative numbers from low to high: those between two borders that agree but for a tail of free digits are
/// one pattern. 123 to 4567 -> 12[3-9], 1[3-9][0-9], [2-9][0-9]{2}, [1-3][0-9]{3}, ...
void add_ranges(uint64_t low, uint64_t high, std::string& patterns) {
  std::set<uint64_t> ends = {high};
  for (uint64_t power = 10;; power *= 10) {
    const uint64_t end = low / power * power + power - 1;
    if (end >= high) break;
    ends.insert(end);
    if (power > high) break;
  }
  for (uint64_t power = 10; power <= high; power *= 10) {
    const uint64_t border = (high + 1) / power * power;
    if (border <= low || border == 0) break;
    ends.insert(border - 1);
  }
  for (const uint64_t end : ends) {
    const std::string first = std::to_string(low), last = std::to_string(end);
    if (!patterns.empty()) patterns += '|';
    for (size_t i = 0; i < first.size(); ++i) {
      if (first[i] == last[i])
        patterns += first[i];
      else
        patterns += std::string("[") + first[i] + "-" + last[i] + "]";
    }
    low = end + 1;
  }
}

}  // namespace

void write_in_json(Grammar& grammar, Grammar::Node from, const Characters& characters, Grammar::Node to) {
  read_utf8(grammar, from, characters.among(plain()), to);
  const Characters special = characters.without(plain());
  for (const auto& [first, last] : special.ranges())
    for (uint32_t c = first; c <= last; ++c) grammar.read(from, escaped(c), to);
}

std::string integer_range(int64_t low, int64_t high) {
  std::string negative, positive;
  if (low < 0) add_ranges(high < 0 ? static_cast<uint64_t>(-high) : 1, static_cast<uint64_t>(-low), negative);
  if (high >= 0) add_ranges(low > 0 ? static_cast<uint64_t>(low) : 0, static_cast<uint64_t>(high), positive);
  if (negative.empty()) return "(" + positive + ")";
  return "(-(" + negative + ")" + (positive.empty() ? "" : "|" + positive) + ")";
}

template <class Fill>
Grammar::Rule JsonRules::once(Grammar::Rule& rule, Fill fill) {
  if (rule >= 0) return rule;
  const Grammar::Rule made = rule = grammar_.rule();
  fill(grammar_.begin(made), grammar_.end(made));
  return made;
}

Grammar::Rule JsonRules::expression(Grammar::Rule& rule, const char* text) {
  return once(rule, [&](auto from, auto to) { read_expression(grammar_, from, text, to, "JSON"); });
}

Grammar::Rule JsonRules::number() {
  return expression(number_, "-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?");
}
Grammar::Rule JsonRules::integer() { return expression(integer_, "-?(0|[1-9][0-9]{0,17})"); }
Grammar::Rule JsonRules::comma() { return expression(comma_, ", ?"); }
Grammar::Rule JsonRules::colon() { return expression(colon_, ": ?"); }

Grammar::Rule JsonRules::character() {
  return once(character_, [&](auto from, auto to) {
    read_utf8(grammar_, from, plain(), to);
    // Four hexadecimal digits that are no half of a pair.
    read_expression(grammar_, from, R"(\\(["\\/bfnrt]|u([0-9a-cefA-CEF][0-9a-fA-F]|[dD][0-7])[0-9a-fA-F]{2}))", to,
                    "JSON");
  });
}

Grammar::Rule JsonRules::string() {
  return once(string_, [&](auto from, auto to) {
    const Grammar::Node inside = grammar_.node();
    grammar_.read(from, "\"", inside);
    grammar_.call(inside, character(), inside);
    grammar_.read(inside, "\"", to);
  });
}

/// open (item (comma item)*)? close; what stands between `item` and `item_end` was read into the grammar already.
void JsonRules::list(Grammar::Node from, char open, Grammar::Node item, Grammar::Node item_end, char close,
                     Grammar::Node to) {
  const std::string begin(1, open), end(1, close);
  grammar_.read(from, begin, item);
  grammar_.read(from, begin + end, to);
  grammar_.call(item_end, comma(), item);
  grammar_.read(item_end, end, to);
}

Grammar::Rule JsonRules::array() {
  return once(array_, [&](auto from, auto to) {
    const Grammar::Node item = grammar_.node(), item_end = grammar_.node();
    grammar_.call(item, value(), item_end);
    list(from, '[', item, item_end, ']', to);
  });
}

Grammar::Rule JsonRules::object() {
  return once(object_, [&](auto from, auto to) {
    const Grammar::Node key = grammar_.node(), behind = grammar_.node(), item = grammar_.node(), end = grammar_.node();
    grammar_.call(key, string(), behind);
    grammar_.call(behind, colon(), item);
    grammar_.call(item, value(), end);
    list(from, '{', key, end, '}', to);
  });
}

Grammar::Rule JsonRules::value() {
  return once(value_, [&](auto from, auto to) {
    for (const char* word : {"true", "false", "null"}) grammar_.read(from, word, to);
    for (const Grammar::Rule rule : {object(), array(), string(), number()}) grammar_.call(from, rule, to);
  });
}

}  // namespace tessera

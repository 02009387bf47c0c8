#include "decode/regular_expression.h"

#include <map>
#include <optional>

#include "core/error.h"
#include "text/utf8.h"

namespace tessera {
namespace {

constexpr int kUnbounded = -1, kMostRepeats = 10'000, kDeepest = 200;

/// A parsed expression.
struct Expression {
  enum class Kind { kCharacters, kSequence, kChoice, kRepeat };
  Kind kind = Kind::kSequence;
  Characters characters = {};
  std::vector<Expression> parts = {};  // of a sequence, a choice; what is repeated
  int least = 0, most = 0;
};

Characters digits() { return Characters({{'0', '9'}}); }
Characters word() { return Characters({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}); }
Characters space() { return Characters({{'\t', '\r'}, {' ', ' '}}); }
Characters line_ends() { return Characters({{'\n', '\n'}, {'\r', '\r'}}); }
Characters just(uint32_t c) { return Characters({{c, c}}); }
Expression one_of(Characters characters) { return {Expression::Kind::kCharacters, std::move(characters)}; }

class Parser {
 public:
  Parser(const std::string& text, std::string where) : text_(text), where_(std::move(where)) {
    if (!text::is_valid_utf8(text)) throw Error("is not UTF-8", where_);
    bound_begin = take('^');
    if (end_ > at_ && text_[end_ - 1] == '$' && !escaped(end_ - 1)) bound_end = true, --end_;
  }
  Expression parse() {
    Expression whole = choice();
    if (more()) fail("')' without '('");
    if (whole.kind == Expression::Kind::kChoice && (bound_begin || bound_end))
      fail("^ or $ binds one alternative alone", "put the alternatives into a group: ^(a|b)$");
    return whole;
  }
  bool bound_begin = false, bound_end = false;

 private:
  bool escaped(size_t i) const {
    size_t slashes = 0;
    while (i > slashes && text_[i - slashes - 1] == '\\') ++slashes;
    return slashes % 2 == 1;
  }
  [[noreturn]] void fail(const std::string& what, const std::string& remedy = "") const {
    throw Error(what + " (byte " + std::to_string(at_) + " of '" + text_ + "')", where_, remedy);
  }
  bool more() const { return at_ < end_; }
  char peek() const { return more() ? text_[at_] : '\0'; }
  bool take(char c) { return more() && text_[at_] == c ? ++at_, true : false; }
  char32_t character() {
    if (!more()) fail("ends too early");
    return text::next_char(text_, at_);
  }

  Expression choice() {
    if (++depth_ > kDeepest) fail("groups are too deep");
    Expression all{Expression::Kind::kChoice};
    do all.parts.push_back(sequence());
    while (take('|'));
    --depth_;
    if (all.parts.size() > 1) return all;
    Expression only = std::move(all.parts.front());
    return only;
  }

  Expression sequence() {
    Expression all;
    while (more() && peek() != '|' && peek() != ')') all.parts.push_back(repeated());
    return all;
  }

  Expression repeated() {
    Expression inner = atom();
    const auto bounds = quantifier();
    if (!bounds) return inner;
    Expression outer{Expression::Kind::kRepeat};
    outer.least = bounds->first, outer.most = bounds->second;
    outer.parts.push_back(std::move(inner));
    take('?');  // lazy: the same texts
    if (peek() == '+' || peek() == '*' || peek() == '{' || peek() == '?')
      fail("a quantifier behind a quantifier", "put the first one into a group");
    return outer;
  }

  std::optional<std::pair<int, int>> quantifier() {
    if (take('?')) return {{0, 1}};
    if (take('*')) return {{0, kUnbounded}};
    if (take('+')) return {{1, kUnbounded}};
    if (!take('{')) return std::nullopt;
    const int least = number();
    const int most = !take(',') ? least : peek() == '}' ? kUnbounded : number();
    if (!take('}')) fail("'}' is missing");
    if (most != kUnbounded && most < least) fail("the second number of a quantifier is below its first");
    return {{least, most}};
  }

  int number() {
    const auto is_digit = [&] { return peek() >= '0' && peek() <= '9'; };
    if (!is_digit()) fail("a number is missing", "write \\{ for the character");
    int value = 0;
    while (is_digit()) {
      value = 10 * value + (text_[at_++] - '0');
      if (value > kMostRepeats) fail("more than " + std::to_string(kMostRepeats) + " repetitions");
    }
    return value;
  }

  Expression atom() {
    if (take('(')) return group();
    if (take('[')) return one_of(members());
    if (take('.')) return one_of(line_ends().complement());
    if (take('\\')) return one_of(escape());
    for (const char c : {'*', '+', '?', '{'})
      if (peek() == c) fail(std::string("nothing to repeat before '") + c + "'", "write \\ before the character");
    for (const char c : {'^', '$'})
      if (peek() == c) fail(std::string("'") + c + "' inside of the expression", "the whole text is matched already");
    return one_of(just(character()));
  }

  Expression group() {
    if (take('?')) {
      const bool named = take('P') || peek() == '<';
      if (named && take('<') && peek() != '=' && peek() != '!') {
        while (more() && peek() != '>') ++at_;
        if (!take('>')) fail("'>' is missing");
      } else if (!take(':')) {
        fail("looking around and flags are not known");
      }
    }
    Expression inside = choice();
    if (!take(')')) fail("')' is missing");
    return inside;
  }

  Characters members() {
    const bool others = take('^');
    Characters set;
    for (bool first = true; first || peek() != ']'; first = false) {
      if (!more()) fail("']' is missing");
      if (text_.compare(at_, 2, "[:") == 0) fail("named classes are not known", "write [a-z] or \\d");
      const Characters low = member();
      const bool single = low.ranges().size() == 1 && low.ranges()[0].first == low.ranges()[0].second;
      if (single && peek() == '-' && at_ + 1 < end_ && text_[at_ + 1] != ']') {
        ++at_;
        const Characters high = member();
        if (high.ranges().size() != 1 || high.ranges()[0].first != high.ranges()[0].second)
          fail("a class cannot be the end of a range");
        const auto from = low.ranges()[0].first, to = high.ranges()[0].first;
        if (to < from) fail("the end of a range is before its beginning");
        set = set.with(Characters({{from, to}}));
      } else {
        set = set.with(low);
      }
    }
    take(']');
    set = others ? set.complement() : set.among(Characters::all());
    if (set.empty()) fail("a class without characters");
    return set;
  }

  Characters member() { return take('\\') ? escape(true) : just(character()); }

  Characters escape(bool in_class = false) {
    const char32_t c = character();
    switch (c) {
      case 'd':
        return digits();
      case 'D':
        return digits().complement();
      case 'w':
        return word();
      case 'W':
        return word().complement();
      case 's':
        return space();
      case 'S':
        return space().complement();
      case 'n':
        return just('\n');
      case 't':
        return just('\t');
      case 'r':
        return just('\r');
      case 'f':
        return just('\f');
      case 'v':
        return just('\v');
      case 'x':
        return just(hexadecimal(2));
      case 'u':
        return just(peek() == '{' ? braced() : hexadecimal(4));
      default:
        break;
    }
    if (c == 'b' && in_class) return just('\b');
    if (c == 'b' || c == 'B' || c == 'A' || c == 'z' || c == 'Z' || c == 'G') fail("borders are not known");
    if (c == 'p' || c == 'P') fail("Unicode properties are not known", "write the ranges");
    if (c >= '1' && c <= '9') fail("references back are no regular language");
    if (c < 0x80 && word().contains(c)) fail("an unknown escape");
    return just(c);
  }

  uint32_t hexadecimal(size_t count) {
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i) {
      const char c = peek();
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) fail(std::to_string(count) + " hexadecimal digits are wanted");
      value = 16 * value + static_cast<uint32_t>(digit);
      ++at_;
    }
    if (Characters::all().among(just(value)).empty()) fail("this is no character");
    return value;
  }
  uint32_t braced() {
    const size_t close = text_.find('}', at_);
    if (close == std::string::npos || close >= end_ || close - at_ < 2 || close - at_ > 7) fail("\\u{...} is wrong");
    ++at_;
    const uint32_t value = hexadecimal(close - at_);
    ++at_;
    return value;
  }

  const std::string& text_;
  std::string where_;
  size_t at_ = 0, end_ = text_.size();
  int depth_ = 0;
};

/// Parts of a grammar that match an expression (Thompson, 1968). A set of characters beyond ASCII takes many edges, so
/// that one that comes often is a rule of its own.
class Builder {
 public:
  Builder(Grammar& grammar, const Writer& writer) : grammar_(grammar), writer_(writer) {}

  void build(Grammar::Node from, const Expression& expression, Grammar::Node to) {
    switch (expression.kind) {
      case Expression::Kind::kCharacters:
        return characters(from, expression.characters, to);
      case Expression::Kind::kChoice:
        for (const Expression& part : expression.parts) build(from, part, to);
        return;
      case Expression::Kind::kRepeat:
        return repeat(from, expression, to);
      case Expression::Kind::kSequence:
        break;
    }
    for (const Expression& part : expression.parts) from = next(from, part);
    grammar_.skip(from, to);
  }

 private:
  Grammar::Node next(Grammar::Node from, const Expression& part) {
    const Grammar::Node to = grammar_.node();
    build(from, part, to);
    return to;
  }

  void characters(Grammar::Node from, const Characters& set, Grammar::Node to) {
    if (set.ranges().back().second < 0x80) return writer_(grammar_, from, set, to);
    auto known = rules_.find(set);
    if (known == rules_.end()) {
      known = rules_.emplace(set, grammar_.rule()).first;
      writer_(grammar_, grammar_.begin(known->second), set, grammar_.end(known->second));
    }
    grammar_.call(from, known->second, to);
  }

  void repeat(Grammar::Node from, const Expression& expression, Grammar::Node to) {
    const Expression& part = expression.parts.front();
    for (int i = 0; i < expression.least; ++i) from = next(from, part);
    if (expression.most == kUnbounded) {
      const Grammar::Node loop = grammar_.node();
      grammar_.skip(from, loop);
      grammar_.skip(next(loop, part), loop);
      grammar_.skip(loop, to);
      return;
    }
    for (int i = expression.least; i < expression.most; ++i) {
      grammar_.skip(from, to);
      from = next(from, part);
    }
    grammar_.skip(from, to);
  }

  Grammar& grammar_;
  const Writer& writer_;
  std::map<Characters, Grammar::Rule> rules_;
};

}  // namespace

void read_expression(Grammar& grammar, Grammar::Node from, const std::string& expression, Grammar::Node to,
                     const std::string& where, const RegularExpressionOptions& options) {
  Parser parser(expression, where);
  const Expression parsed = parser.parse();
  Builder builder(grammar, options.writer);
  Expression anything{Expression::Kind::kRepeat};
  anything.most = kUnbounded;
  anything.parts.push_back(one_of(Characters::all()));
  const auto around = [&](Grammar::Node begin, bool bound) {
    const Grammar::Node end = grammar.node();
    if (options.whole || bound)
      grammar.skip(begin, end);
    else
      builder.build(begin, anything, end);
    return end;
  };
  const Grammar::Node begin = around(from, parser.bound_begin), end = grammar.node();
  builder.build(begin, parsed, end);
  grammar.skip(around(end, parser.bound_end), to);
}

Grammar expression_grammar(const std::string& expression, const std::string& where) {
  Grammar grammar;
  const Grammar::Rule whole = grammar.rule();
  read_expression(grammar, grammar.begin(whole), expression, grammar.end(whole), where);
  return grammar;
}

}  // namespace tessera

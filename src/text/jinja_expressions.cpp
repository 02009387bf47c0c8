#include <array>
#include <charconv>

#include "core/error.h"
#include "text/jinja_parser.h"

namespace tessera::text::jinja {
namespace {

constexpr int kDeepest = 100;

/// The operators of equal rank, weakest first.
const std::vector<std::vector<std::string>>& ranks() {
  static const std::vector<std::vector<std::string>> kRanks = {{"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}};
  return kRanks;
}

bool one_of(const std::string& text, const std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

}  // namespace

ExpressionParser::Level::Level(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.depth_ <= kDeepest) return;
  --parser_.depth_;
  parser_.fail("is nested more than " + std::to_string(kDeepest) + " levels deep");
}

void ExpressionParser::fail(const std::string& what, const std::string& remedy) const {
  throw Error(what, name_ + ": line " + std::to_string(peek().line), remedy);
}

const Token& ExpressionParser::peek(size_t ahead) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }

Token ExpressionParser::next() {
  Token token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool ExpressionParser::take(Token::Kind kind, std::string_view text) {
  if (!peek().is(kind, text)) return false;
  next();
  return true;
}

void ExpressionParser::expect(Token::Kind kind, std::string_view text) {
  if (take(kind, text)) return;
  const std::string found = peek().text.empty() ? "the end of the tag" : "'" + peek().text + "'";
  fail("expected '" + std::string(text.empty() ? "the end of the tag" : text) + "', found " + found);
}

std::string ExpressionParser::name() {
  if (peek().kind != Token::kName) fail("expected a name, found '" + peek().text + "'");
  return next().text;
}

ExpressionPtr ExpressionParser::tuple(bool with_condition) {
  ExpressionPtr first = expression(with_condition);
  if (!is_operator(",")) return first;
  ListOf items{{}, true};
  items.items.push_back(std::move(first));
  while (take(Token::kOperator, ",")) {
    const bool end = peek().kind == Token::kBlockEnd || peek().kind == Token::kPrintEnd || is_operator(")");
    if (end) break;
    items.items.push_back(expression(with_condition));
  }
  return make(std::move(items));
}

ExpressionPtr ExpressionParser::expression(bool with_condition) {
  const Level level(*this);
  ExpressionPtr value = disjunction();
  if (!with_condition) return value;
  while (take(Token::kName, "if")) {
    ExpressionPtr test = disjunction(), no;
    if (take(Token::kName, "else")) no = expression();
    value = make(Conditional{std::move(test), std::move(value), std::move(no)});
  }
  return value;
}

ExpressionPtr ExpressionParser::disjunction() {
  ExpressionPtr left = conjunction();
  while (take(Token::kName, "or")) left = make(Binary{"or", std::move(left), conjunction()});
  return left;
}

ExpressionPtr ExpressionParser::conjunction() {
  ExpressionPtr left = negation();
  while (take(Token::kName, "and")) left = make(Binary{"and", std::move(left), negation()});
  return left;
}

ExpressionPtr ExpressionParser::negation() {
  const Level level(*this);
  if (take(Token::kName, "not")) return make(Unary{"not", negation()});
  return comparison();
}

ExpressionPtr ExpressionParser::comparison() {
  Comparison result{binary(0), {}};
  while (true) {
    std::string op;
    if (peek().kind == Token::kOperator && one_of(peek().text, {"==", "!=", "<", "<=", ">", ">="}))
      op = next().text;
    else if (take(Token::kName, "in"))
      op = "in";
    else if (is_name("not") && peek(1).is(Token::kName, "in"))
      op = "not in", next(), next();
    else
      break;
    result.rest.emplace_back(op, binary(0));
  }
  return result.rest.empty() ? std::move(result.first) : make(std::move(result));
}

ExpressionPtr ExpressionParser::binary(size_t level) {
  if (level == ranks().size()) return unary();
  ExpressionPtr left = binary(level + 1);
  while (peek().kind == Token::kOperator && one_of(peek().text, ranks()[level])) {
    std::string op = next().text;
    left = make(Binary{std::move(op), std::move(left), binary(level + 1)});
  }
  return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filter) {
  const Level level(*this);
  ExpressionPtr value;
  if (is_operator("-") || is_operator("+")) {
    std::string op = next().text;
    value = make(Unary{std::move(op), unary(false)});
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filter ? filters(std::move(value)) : std::move(value);
}

ExpressionPtr ExpressionParser::primary() {
  const Token& token = peek();
  if (token.kind == Token::kName) {
    const std::string text = next().text;
    if (one_of(text, {"true", "True"})) return make(Literal{true});
    if (one_of(text, {"false", "False"})) return make(Literal{false});
    if (one_of(text, {"none", "None"})) return make(Literal{None{}});
    return make(Name{text});
  }
  if (token.kind == Token::kString) {
    std::string text;
    while (peek().kind == Token::kString) text += next().text;
    return make(Literal{std::move(text)});
  }
  if (token.kind == Token::kInteger || token.kind == Token::kFloat) return number();
  if (is_operator("[")) return list();
  if (is_operator("{")) return dict();
  if (!take(Token::kOperator, "("))
    fail(token.text.empty() ? "expected an expression" : "unexpected '" + token.text + "'");
  if (take(Token::kOperator, ")")) return make(ListOf{{}, true});
  ExpressionPtr value = tuple();
  expect(Token::kOperator, ")");
  return value;
}

ExpressionPtr ExpressionParser::number() {
  const bool real = peek().kind == Token::kFloat;
  const std::string text = next().text;
  const char* const end = text.data() + text.size();
  double fraction = 0;
  int64_t whole = 0;
  const auto result = real ? std::from_chars(text.data(), end, fraction) : std::from_chars(text.data(), end, whole);
  if (result.ec != std::errc() || result.ptr != end) fail("the number " + text + " is out of range");
  return real ? make(Literal{fraction}) : make(Literal{whole});
}

ExpressionPtr ExpressionParser::list() {
  expect(Token::kOperator, "[");
  ListOf result{{}, false};
  while (!is_operator("]")) {
    result.items.push_back(expression());
    if (!take(Token::kOperator, ",")) break;
  }
  expect(Token::kOperator, "]");
  return make(std::move(result));
}

ExpressionPtr ExpressionParser::dict() {
  expect(Token::kOperator, "{");
  DictOf result;
  while (!is_operator("}")) {
    ExpressionPtr key = expression();
    expect(Token::kOperator, ":");
    result.entries.emplace_back(std::move(key), expression());
    if (!take(Token::kOperator, ",")) break;
  }
  expect(Token::kOperator, "}");
  return make(std::move(result));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr of) {
  while (true) {
    if (take(Token::kOperator, ".")) {
      if (peek().kind == Token::kInteger)
        of = make(Subscript{std::move(of), number()});
      else
        of = make(Attribute{std::move(of), name()});
    } else if (is_operator("[")) {
      of = subscript(std::move(of));
    } else if (is_operator("(")) {
      of = make(Call{std::move(of), call_arguments()});
    } else {
      return of;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr of) {
  expect(Token::kOperator, "[");
  std::array<ExpressionPtr, 3> bounds;
  size_t colons = 0;
  while (!is_operator("]")) {
    if (take(Token::kOperator, ":")) {
      if (++colons > 2) fail("a slice has at most two colons");
      continue;
    }
    bounds[colons] = expression();
    if (!is_operator(":") && !is_operator("]")) fail("expected ':' or ']', found '" + peek().text + "'");
  }
  expect(Token::kOperator, "]");
  if (colons > 0) return make(Slice{std::move(of), std::move(bounds[0]), std::move(bounds[1]), std::move(bounds[2])});
  if (!bounds[0]) fail("expected an index");
  return make(Subscript{std::move(of), std::move(bounds[0])});
}

CallArguments ExpressionParser::call_arguments() {
  const Level level(*this);
  CallArguments arguments;
  expect(Token::kOperator, "(");
  while (!is_operator(")")) {
    if (take(Token::kOperator, "*")) {
      arguments.list = expression();
    } else if (take(Token::kOperator, "**")) {
      arguments.dict = expression();
    } else if (peek().kind == Token::kName && peek(1).is(Token::kOperator, "=")) {
      std::string key = next().text;
      next();
      arguments.named.emplace_back(std::move(key), expression());
    } else {
      if (!arguments.named.empty()) fail("an argument without name follows one with a name");
      arguments.positional.push_back(expression());
    }
    if (!take(Token::kOperator, ",")) break;
  }
  expect(Token::kOperator, ")");
  return arguments;
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr of) {
  while (true) {
    if (take(Token::kOperator, "|"))
      of = filter(std::move(of));
    else if (take(Token::kName, "is"))
      of = test(std::move(of));
    else if (is_operator("("))
      of = make(Call{std::move(of), call_arguments()});
    else
      return of;
  }
}

ExpressionPtr ExpressionParser::filter(ExpressionPtr of) {
  std::string which = name();
  CallArguments arguments;
  if (is_operator("(")) arguments = call_arguments();
  return make(Filter{std::move(of), std::move(which), std::move(arguments)});
}

ExpressionPtr ExpressionParser::test(ExpressionPtr of) {
  const bool negated = take(Token::kName, "not");
  std::string which = name();
  CallArguments arguments;
  const Token& token = peek();
  const bool word = token.kind == Token::kName && !one_of(token.text, {"else", "or", "and", "is", "if"});
  const bool literal = token.kind == Token::kString || token.kind == Token::kInteger || token.kind == Token::kFloat;
  if (is_operator("("))
    arguments = call_arguments();
  else if (word || literal || is_operator("[") || is_operator("{"))
    arguments.positional.push_back(postfix(primary()));
  return make(Test{std::move(of), std::move(which), std::move(arguments), negated});
}

}  // namespace tessera::text::jinja

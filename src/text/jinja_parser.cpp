#include "text/jinja_parser.h"

#include <algorithm>

namespace tessera::text::jinja {
namespace {

class TemplateParser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Statements run() {
    Statements all = body({});
    if (peek().kind != Token::kEnd) fail("unexpected '" + peek().text + "'");
    return all;
  }

 private:
  using Ends = std::vector<std::string>;

  /// Statements up to a block that begins with one of `ends`, whose name is the next token then.
  Statements body(const Ends& ends) {
    const Level level(*this);
    Statements all;
    while (peek().kind != Token::kEnd) {
      const Token token = next();
      if (token.kind == Token::kData) {
        all.push_back({token.line, Text{token.text}});
      } else if (token.kind == Token::kPrintBegin) {
        all.push_back({token.line, Print{tuple()}});
        expect(Token::kPrintEnd, "");
      } else {
        if (peek().kind != Token::kName) fail("expected the name of a block");
        if (std::find(ends.begin(), ends.end(), peek().text) != ends.end()) return all;
        all.push_back(statement(token.line));
      }
    }
    if (!ends.empty()) fail("the template ends where '" + ends.back() + "' is missing");
    return all;
  }

  /// The body of a block, and its end.
  Statements body_until(const std::string& end) {
    close();
    Statements all = body({end});
    next();
    return all;
  }
  void close() { expect(Token::kBlockEnd, ""); }

  Statement statement(int line) {
    const std::string word = name();
    Statement result{line, Break{}};
    if (word == "if")
      result.of = condition();
    else if (word == "for")
      result.of = loop();
    else if (word == "set")
      result.of = assignment();
    else if (word == "macro")
      result.of = macro();
    else if (word == "call")
      result.of = call_block();
    else if (word == "filter")
      result.of = filter_block();
    else if (word == "with")
      result.of = with();
    else if (word == "generation")
      result.of = Generation{body_until("endgeneration")};
    else if (word == "continue" && loops_ > 0)
      result.of = Continue{};
    else if (word == "break" || word == "continue")
      loops_ > 0 ? void() : fail("'" + word + "' stands outside of a loop");
    else
      fail("the block '" + word + "' is not supported",
           "chat templates use if, for, set, macro, call, filter, with, "
           "generation, break and continue");
    close();
    return result;
  }

  If condition() {
    If result;
    ExpressionPtr test = tuple(false);
    while (true) {
      close();
      result.branches.emplace_back(std::move(test), body({"elif", "else", "endif"}));
      if (!take(Token::kName, "elif")) break;
      test = tuple(false);
    }
    if (take(Token::kName, "else"))
      result.otherwise = body_until("endif");
    else
      next();
    return result;
  }

  For loop() {
    For result;
    result.target = target();
    expect(Token::kName, "in");
    result.over = tuple(false);
    if (take(Token::kName, "if")) result.filter = expression();
    result.recursive = take(Token::kName, "recursive");
    close();
    ++loops_;
    result.body = body({"else", "endfor"});
    --loops_;
    if (take(Token::kName, "else"))
      result.otherwise = body_until("endfor");
    else
      next();
    return result;
  }

  Target target() {
    Target result;
    const bool bracket = take(Token::kOperator, "(");
    result.names.push_back(name());
    if (take(Token::kOperator, ".")) {
      result.attribute = name();
      return result;
    }
    while (take(Token::kOperator, ",")) {
      result.tuple = true;
      if (peek().kind == Token::kName && !is_name("in")) result.names.push_back(name());
    }
    if (bracket) expect(Token::kOperator, ")");
    return result;
  }

  Set assignment() {
    Set result;
    result.target = target();
    if (take(Token::kOperator, "=")) {
      result.value = tuple();
      return result;
    }
    if (is_operator("|")) result.filter = filters(nullptr);
    result.body = separate_body("endset");
    return result;
  }

  Parameters parameters() {
    Parameters result;
    expect(Token::kOperator, "(");
    while (!is_operator(")")) {
      result.names.push_back(name());
      if (take(Token::kOperator, "="))
        result.defaults.push_back(expression());
      else if (!result.defaults.empty())
        fail("a parameter without a default follows one that has one");
      if (!take(Token::kOperator, ",")) break;
    }
    expect(Token::kOperator, ")");
    return result;
  }

  Statements separate_body(const std::string& end) {
    const int loops = std::exchange(loops_, 0);
    Statements result = body_until(end);
    loops_ = loops;
    return result;
  }

  std::shared_ptr<Macro> macro() {
    auto result = std::make_shared<Macro>();
    result->name = name();
    result->parameters = parameters();
    result->body = separate_body("endmacro");
    return result;
  }

  CallBlock call_block() {
    CallBlock result{nullptr, std::make_shared<Macro>()};
    result.body->name = "caller";
    if (is_operator("(")) result.body->parameters = parameters();
    result.call = expression();
    if (!std::holds_alternative<Call>(result.call->of)) fail("expected the call of a macro");
    result.body->body = separate_body("endcall");
    return result;
  }

  FilterBlock filter_block() {
    FilterBlock result;
    result.filter = filters(filter(nullptr));
    result.body = separate_body("endfilter");
    return result;
  }

  With with() {
    With result;
    while (peek().kind != Token::kBlockEnd) {
      std::string key = name();
      expect(Token::kOperator, "=");
      result.names.emplace_back(std::move(key), expression());
      if (!take(Token::kOperator, ",")) break;
    }
    result.body = body_until("endwith");
    return result;
  }

  int loops_ = 0;
};

}  // namespace

Statements parse(std::string_view source, const std::string& name) {
  return TemplateParser(tokenize(source, name), name).run();
}

}  // namespace tessera::text::jinja

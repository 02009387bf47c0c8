#pragma once
#include "text/jinja_ast.h"
#include "text/jinja_lexer.h"

namespace tessera::text::jinja {

/// Reads expressions. Where a construct is unknown or nested too deeply, an Error names the line.
class ExpressionParser {
 public:
  ExpressionParser(std::vector<Token> tokens, std::string name) : tokens_(std::move(tokens)), name_(std::move(name)) {}

 protected:
  ExpressionPtr expression(bool with_condition = true);
  /// An expression, or several with commas between them, which are a tuple.
  ExpressionPtr tuple(bool with_condition = true);
  ExpressionPtr filters(ExpressionPtr of);  ///< " | name(...)", any number of times
  ExpressionPtr filter(ExpressionPtr of);   ///< "name(...)"
  CallArguments call_arguments();

  const Token& peek(size_t ahead = 0) const;
  Token next();
  bool is_operator(std::string_view text) const { return peek().is(Token::kOperator, text); }
  bool is_name(std::string_view text) const { return peek().is(Token::kName, text); }
  bool take(Token::Kind kind, std::string_view text);
  void expect(Token::Kind kind, std::string_view text);
  std::string name();
  [[noreturn]] void fail(const std::string& what, const std::string& remedy = "") const;

  /// Guards the call stack: one for each level of nesting.
  class Level {
   public:
    explicit Level(ExpressionParser& parser);
    ~Level() { --parser_.depth_; }

   private:
    ExpressionParser& parser_;
  };

 private:
  ExpressionPtr disjunction();
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr binary(size_t level);
  ExpressionPtr unary(bool with_filter = true);
  ExpressionPtr primary();
  ExpressionPtr postfix(ExpressionPtr of);
  ExpressionPtr subscript(ExpressionPtr of);
  ExpressionPtr test(ExpressionPtr of);
  ExpressionPtr list();
  ExpressionPtr dict();
  ExpressionPtr number();
  template <class T>
  ExpressionPtr make(T of) const {
    return std::make_unique<Expression>(Expression{tokens_[at_ > 0 ? at_ - 1 : 0].line, std::move(of)});
  }

  std::vector<Token> tokens_;
  std::string name_;
  size_t at_ = 0;
  int depth_ = 0;
};

/// Reads a whole template. @param name  how errors call it. @throws Error naming the line
Statements parse(std::string_view source, const std::string& name);

}  // namespace tessera::text::jinja

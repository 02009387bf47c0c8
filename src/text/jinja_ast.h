#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja_value.h"

/// The syntax of a template, as jinja_parser.h reads it and jinja_render.h carries it out.
namespace tessera::text::jinja {

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<Expression>;
using Expressions = std::vector<ExpressionPtr>;
using Statements = std::vector<Statement>;

struct CallArguments {
  Expressions positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr list, dict;  ///< what follows "*" and "**"; null: none
};

struct Literal {
  Value value;
};
struct Name {
  std::string name;
};
struct ListOf {
  Expressions items;
  bool tuple;
};
struct DictOf {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
/// "not", "-", "+"
struct Unary {
  std::string op;
  ExpressionPtr operand;
};
/// "and", "or", "+", "-", "*", "/", "//", "%", "**", "~"
struct Binary {
  std::string op;
  ExpressionPtr left, right;
};
/// a < b <= c: every pair of neighbours; "==", "!=", "<", "<=", ">", ">=", "in", "not in"
struct Comparison {
  ExpressionPtr first;
  std::vector<std::pair<std::string, ExpressionPtr>> rest;
};
/// `yes if test else no`; without `no` an undefined value
struct Conditional {
  ExpressionPtr test, yes, no;
};
struct Attribute {
  ExpressionPtr of;
  std::string name;
};
struct Subscript {
  ExpressionPtr of, index;
};
struct Slice {
  ExpressionPtr of, begin, end, step;  ///< null: left out
};
struct Call {
  ExpressionPtr function;
  CallArguments arguments;
};
struct Filter {
  ExpressionPtr of;  ///< null: the text of a block
  std::string name;
  CallArguments arguments;
};
struct Test {
  ExpressionPtr of;
  std::string name;
  CallArguments arguments;
  bool negated;
};

struct Expression {
  int line;
  std::variant<Literal, Name, ListOf, DictOf, Unary, Binary, Comparison, Conditional, Attribute, Subscript, Slice, Call,
               Filter, Test>
      of;
};

/// Where a value goes: a name, several names, or the attribute of a namespace.
struct Target {
  std::vector<std::string> names;
  std::string attribute;  ///< of names[0]; empty: none
  bool tuple = false;     ///< the value is unpacked
};

struct Parameters {
  std::vector<std::string> names;
  Expressions defaults;  ///< of the last of them
};

struct Text {
  std::string text;
};
struct Print {
  ExpressionPtr value;
};
struct If {
  std::vector<std::pair<ExpressionPtr, Statements>> branches;
  Statements otherwise;
};
struct For {
  Target target;
  ExpressionPtr over, filter;  ///< filter: null where all items count
  Statements body, otherwise;
  bool recursive = false;
};
struct Set {
  Target target;
  ExpressionPtr value;  ///< null: the text of the body
  Statements body;
  ExpressionPtr filter;  ///< of that text; null: none
};
struct Macro {
  std::string name;
  Parameters parameters;
  Statements body;
};
/// {% call(x) macro() %} ... {% endcall %}: the macro prints the body by caller().
struct CallBlock {
  ExpressionPtr call;
  std::shared_ptr<Macro> body;
};
struct FilterBlock {
  ExpressionPtr filter;
  Statements body;
};
/// {% with a = 1 %}: names of its body alone.
struct With {
  std::vector<std::pair<std::string, ExpressionPtr>> names;
  Statements body;
};
/// {% generation %} marks what the assistant said; it prints its body.
struct Generation {
  Statements body;
};
struct Break {};
struct Continue {};

struct Statement {
  int line;
  std::variant<Text, Print, If, For, Set, std::shared_ptr<Macro>, CallBlock, FilterBlock, With, Generation, Break,
               Continue>
      of;
};

}  // namespace tessera::text::jinja

#include "decode/regular_expression.h"

#include <map>

#include "decode/expression_parser.h"

namespace tessera {
namespace {

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
  const ParsedExpression parsed = parse_expression(expression, where);
  Builder builder(grammar, options.writer);
  Expression anything{Expression::Kind::kRepeat};
  anything.most = kUnbounded;
  anything.parts.push_back({Expression::Kind::kCharacters, Characters::all()});
  const auto around = [&](Grammar::Node begin, bool bound) {
    const Grammar::Node end = grammar.node();
    if (options.whole || bound)
      grammar.skip(begin, end);
    else
      builder.build(begin, anything, end);
    return end;
  };
  const Grammar::Node begin = around(from, parsed.bound_begin), end = grammar.node();
  builder.build(begin, parsed.expression, end);
  grammar.skip(around(end, parsed.bound_end), to);
}

Grammar expression_grammar(const std::string& expression, const std::string& where) {
  Grammar grammar;
  const Grammar::Rule whole = grammar.rule();
  read_expression(grammar, grammar.begin(whole), expression, grammar.end(whole), where);
  return grammar;
}

}  // namespace tessera

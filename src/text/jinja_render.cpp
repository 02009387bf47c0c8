#include "text/jinja_render.h"

#include <algorithm>

#include "core/error.h"
#include "text/jinja_builtins.h"
#include "text/jinja_strings.h"

namespace tessera::text::jinja {
namespace {

constexpr int kDeepest = 500;               // of the call stack
constexpr int64_t kMostSteps = 50'000'000;  // a template that takes more does not end

/// Names and what they stand for; what is not here is looked up further out.
struct Scope {
  std::shared_ptr<Scope> outer;
  std::map<std::string, Value> names;

  const Value* find(const std::string& name) const {
    for (const Scope* scope = this; scope; scope = scope->outer.get())
      if (const auto found = scope->names.find(name); found != scope->names.end()) return &found->second;
    return nullptr;
  }
};
using ScopePtr = std::shared_ptr<Scope>;

ScopePtr within(const ScopePtr& outer) { return std::make_shared<Scope>(Scope{outer, {}}); }

enum class Flow { kOn, kBreak, kContinue };

class Renderer {
 public:
  explicit Renderer(const std::string& name) : name_(name) {}
  // A macro refers to the scope that it was defined in, which holds the macro; a namespace may hold itself.
  ~Renderer() {
    for (const ScopePtr& scope : defining_) scope->names.clear();
    for (const auto& [object, space] : spaces_) object->attributes.entries.clear();
  }

  Flow run(const Statements& statements, const ScopePtr& scope, std::string& out) {
    for (const Statement& statement : statements) {
      const Flow flow = guarded(statement.line, [&]() -> Flow {
        return std::visit([&](const auto& of) { return execute(of, scope, out); }, statement.of);
      });
      check_size(out.size());
      if (flow != Flow::kOn) return flow;
    }
    return Flow::kOn;
  }

 private:
  /// Adds the line to errors, and keeps the template from running away.
  template <class Action>
  std::invoke_result_t<Action> guarded(int line, const Action& action) {
    struct Depth {
      int& depth;
      ~Depth() { --depth; }
    } depth{++depth_};
    try {
      if (depth_ > kDeepest) throw Error("calls itself too deeply");
      if (++steps_ > kMostSteps) throw Error("takes too many steps", "", "a loop of the template does not end");
      return action();
    } catch (const Error& error) {
      if (!error.where().empty()) throw;
      throw error.within(name_ + ": line " + std::to_string(line));
    }
  }

  Value evaluate(const ExpressionPtr& expression, const ScopePtr& scope) {
    return guarded(expression->line, [&]() -> Value {
      return std::visit([&](const auto& of) -> Value { return value(of, scope); }, expression->of);
    });
  }

  // Statements.

  Flow execute(const Text& text, const ScopePtr&, std::string& out) {
    out += text.text;
    return Flow::kOn;
  }
  Flow execute(const Print& print, const ScopePtr& scope, std::string& out) {
    out += to_text(evaluate(print.value, scope));
    return Flow::kOn;
  }
  Flow execute(const Break&, const ScopePtr&, std::string&) { return Flow::kBreak; }
  Flow execute(const Continue&, const ScopePtr&, std::string&) { return Flow::kContinue; }
  Flow execute(const Generation& generation, const ScopePtr& scope, std::string& out) {
    return run(generation.body, scope, out);
  }

  Flow execute(const If& branches, const ScopePtr& scope, std::string& out) {
    for (const auto& [test, body] : branches.branches)
      if (truth(evaluate(test, scope))) return run(body, scope, out);
    return run(branches.otherwise, scope, out);
  }

  Flow execute(const For& loop, const ScopePtr& scope, std::string& out) {
    run_loop(loop, evaluate(loop.over, scope), scope, out, 0);
    return Flow::kOn;
  }

  Flow execute(const Set& set, const ScopePtr& scope, std::string&) {
    if (set.value) {
      assign(set.target, evaluate(set.value, scope), *scope);
      return Flow::kOn;
    }
    assign(set.target, filtered(set.filter, captured(set.body, within(scope)), scope), *scope);
    return Flow::kOn;
  }

  Flow execute(const std::shared_ptr<Macro>& macro, const ScopePtr& scope, std::string&) {
    scope->names[macro->name] = closure(*macro, scope);
    return Flow::kOn;
  }

  Flow execute(const CallBlock& block, const ScopePtr& scope, std::string& out) {
    const auto& call = std::get<Call>(block.call->of);
    Arguments arguments = evaluate(call.arguments, scope);
    arguments.named.emplace_back("caller", closure(*block.body, scope));
    out += to_text(called(evaluate(call.function, scope), arguments));
    return Flow::kOn;
  }

  Flow execute(const FilterBlock& block, const ScopePtr& scope, std::string& out) {
    out += to_text(filtered(block.filter, captured(block.body, within(scope)), scope));
    return Flow::kOn;
  }

  Flow execute(const With& with, const ScopePtr& scope, std::string& out) {
    const ScopePtr inner = within(scope);
    for (const auto& [name, expression] : with.names) {
      const Value given = evaluate(expression, scope);
      inner->names[name] = given;
    }
    return run(with.body, inner, out);
  }

  std::string captured(const Statements& body, const ScopePtr& scope) {
    std::string text;
    run(body, scope, text);
    return text;
  }

  /// A chain of filters whose innermost has no operand, applied to a text.
  Value filtered(const ExpressionPtr& filter, Value text, const ScopePtr& scope) {
    if (!filter) return text;
    const auto* last = std::get_if<Filter>(&filter->of);
    if (!last) throw Error("only filters can follow a block");
    return apply_filter(last->name, filtered(last->of, std::move(text), scope), evaluate(last->arguments, scope));
  }

  void assign(const Target& target, const Value& given, Scope& scope) {
    if (!target.attribute.empty()) {
      const Value* space = scope.find(target.names[0]);
      if (!space || !space->is<Object>() || !space->object()->assignable)
        throw Error("cannot assign attribute on non-namespace object");
      spaces_.emplace(space->object(), *space);
      space->object()->attributes.set(target.attribute, given);
    } else if (target.tuple) {
      const std::vector<Value> parts = items(defined(given));
      if (parts.size() != target.names.size())
        throw Error(std::to_string(parts.size()) + " values for " + std::to_string(target.names.size()) + " names");
      for (size_t i = 0; i < parts.size(); ++i) scope.names[target.names[i]] = parts[i];
    } else {
      scope.names[target.names[0]] = given;
    }
  }

  // Loops.

  std::vector<Value> loop_items(const For& loop, const Value& over, const ScopePtr& scope) {
    std::vector<Value> all = items(over);
    if (!loop.filter) return all;
    std::erase_if(all, [&](const Value& item) {
      const ScopePtr inner = within(scope);
      assign(loop.target, item, *inner);
      return !truth(evaluate(loop.filter, inner));
    });
    return all;
  }

  void run_loop(const For& loop, const Value& over, const ScopePtr& scope, std::string& out, int level) {
    const std::vector<Value> all = loop_items(loop, over, scope);
    if (loop.recursive) defining_.push_back(scope);
    auto changed = std::make_shared<std::optional<std::vector<Value>>>();
    for (size_t i = 0; i < all.size(); ++i) {
      const ScopePtr inner = within(scope);
      assign(loop.target, all[i], *inner);
      inner->names["loop"] = loop_object(loop, all, i, scope, level, changed);
      if (run(loop.body, inner, out) == Flow::kBreak) break;
    }
    if (all.empty()) run(loop.otherwise, within(scope), out);
  }

  template <class Memory>
  Value loop_object(const For& loop, const std::vector<Value>& all, size_t i, const ScopePtr& scope, int level,
                    const Memory& memory) {
    const size_t count = all.size();
    Object object{"loop", nullptr, {}, false};
    object.attributes.entries = {{"index", i + 1},
                                 {"index0", i},
                                 {"revindex", count - i},
                                 {"revindex0", count - i - 1},
                                 {"first", i == 0},
                                 {"last", i + 1 == count},
                                 {"length", count},
                                 {"depth", level + 1},
                                 {"depth0", level},
                                 {"previtem", i > 0 ? all[i - 1] : Undefined{"there is no previous item"}},
                                 {"nextitem", i + 1 < count ? all[i + 1] : Undefined{"there is no next item"}}};
    object.attributes.entries.emplace_back("cycle", function("cycle", [i](const Arguments& a) {
                                             if (a.positional.empty()) throw Error("no items for cycling given");
                                             return a.positional[i % a.positional.size()];
                                           }));
    object.attributes.entries.emplace_back("changed", function("changed", [memory](const Arguments& a) -> Value {
                                             const bool same =
                                                 *memory && std::equal(a.positional.begin(), a.positional.end(),
                                                                       (*memory)->begin(), (*memory)->end(), equal);
                                             *memory = a.positional;
                                             return !same;
                                           }));
    if (loop.recursive)
      object.call = [this, &loop, scope = scope.get(), level](const Arguments& a) -> Value {
        std::string text;
        run_loop(loop, a.get(0, "iterable", Value()), within(ScopePtr(ScopePtr(), scope)), text, level + 1);
        return text;
      };
    return object;
  }

  // Macros.

  Value closure(const Macro& macro, const ScopePtr& scope) {
    defining_.push_back(scope);
    return function(macro.name, [this, &macro, scope = scope.get()](const Arguments& a) -> Value {
      const ScopePtr inner = within(ScopePtr(ScopePtr(), scope));
      bind(macro, a, inner);
      return captured(macro.body, inner);
    });
  }

  void bind(const Macro& macro, const Arguments& a, const ScopePtr& scope) {
    const auto& names = macro.parameters.names;
    if (a.positional.size() > names.size())
      throw Error("macro '" + macro.name + "' takes not more than " + std::to_string(names.size()) + " argument(s)");
    for (const auto& [name, given] : a.named) {
      if (name != "caller" && std::find(names.begin(), names.end(), name) == names.end())
        throw Error("macro '" + macro.name + "' takes no keyword argument '" + name + "'");
      if (name == "caller") scope->names[name] = given;
    }
    const size_t required = names.size() - macro.parameters.defaults.size();
    for (size_t i = 0; i < names.size(); ++i) {
      if (const Value* given = a.find(i, names[i]))
        scope->names[names[i]] = *given;
      else if (i >= required)
        scope->names[names[i]] = evaluate(macro.parameters.defaults[i - required], scope);
      else
        scope->names[names[i]] = Undefined{"parameter '" + names[i] + "' was not provided"};
    }
  }

  Value called(const Value& callee, const Arguments& arguments) {
    if (!defined(callee).is<Object>() || !callee.object()->call)
      throw Error("'" + type_name(callee) + "' object is not callable");
    return callee.object()->call(arguments);
  }

  // Expressions.

  Arguments evaluate(const CallArguments& given, const ScopePtr& scope) {
    Arguments arguments;
    for (const auto& argument : given.positional) arguments.positional.push_back(evaluate(argument, scope));
    for (const auto& [name, argument] : given.named) arguments.named.emplace_back(name, evaluate(argument, scope));
    if (given.list)
      for (const Value& item : items(evaluate(given.list, scope))) arguments.positional.push_back(item);
    if (given.dict) {
      const Value named = evaluate(given.dict, scope);
      if (!named.is<Dict>()) throw Error("argument after ** must be a mapping, not " + type_name(named));
      for (const auto& [key, item] : named.as<Dict>()->entries) arguments.named.emplace_back(to_text(key), item);
    }
    return arguments;
  }

  Value value(const Literal& literal, const ScopePtr&) { return literal.value; }
  Value value(const Name& name, const ScopePtr& scope) {
    const Value* found = scope->find(name.name);
    return found ? *found : Undefined{"'" + name.name + "' is undefined"};
  }
  Value value(const ListOf& list, const ScopePtr& scope) {
    Sequence result{{}, list.tuple};
    for (const auto& item : list.items) result.items.push_back(evaluate(item, scope));
    return result;
  }
  Value value(const DictOf& dict, const ScopePtr& scope) {
    Dict result;
    for (const auto& [key, item] : dict.entries) {
      const Value name = evaluate(key, scope);
      result.set(name, evaluate(item, scope));
    }
    return result;
  }
  Value value(const Unary& unary, const ScopePtr& scope) {
    const Value operand = evaluate(unary.operand, scope);
    if (unary.op == "not") return !truth(operand);
    return unary.op == "-" ? negative(operand) : negative(negative(operand));
  }
  Value value(const Binary& binary, const ScopePtr& scope) {
    const Value left = evaluate(binary.left, scope);
    if (binary.op == "and") return truth(left) ? evaluate(binary.right, scope) : left;
    if (binary.op == "or") return truth(left) ? left : evaluate(binary.right, scope);
    const Value right = evaluate(binary.right, scope);
    return binary.op == "~" ? concatenate(left, right) : arithmetic(binary.op, left, right);
  }
  Value value(const Comparison& comparison, const ScopePtr& scope) {
    Value left = evaluate(comparison.first, scope);
    for (const auto& [op, expression] : comparison.rest) {
      const Value right = evaluate(expression, scope);
      if (!compares(op, left, right)) return false;
      left = right;
    }
    return true;
  }
  Value value(const Conditional& choice, const ScopePtr& scope) {
    if (truth(evaluate(choice.test, scope))) return evaluate(choice.yes, scope);
    if (choice.no) return evaluate(choice.no, scope);
    return Undefined{"the inline if-expression evaluated to false and no else section was defined."};
  }
  Value value(const Attribute& of, const ScopePtr& scope) { return attribute(evaluate(of.of, scope), of.name); }
  Value value(const Subscript& of, const ScopePtr& scope) {
    const Value whole = evaluate(of.of, scope);
    return subscript(whole, evaluate(of.index, scope));
  }
  Value value(const Slice& of, const ScopePtr& scope) {
    const auto bound = [&](const ExpressionPtr& expression) {
      return expression ? evaluate(expression, scope) : Value(None{});
    };
    const Value whole = evaluate(of.of, scope), begin = bound(of.begin), end = bound(of.end);
    return slice(whole, begin, end, bound(of.step));
  }
  Value value(const Call& call, const ScopePtr& scope) {
    const Value callee = evaluate(call.function, scope);
    return called(callee, evaluate(call.arguments, scope));
  }
  Value value(const Filter& filter, const ScopePtr& scope) {
    if (!filter.of) throw Error("a filter has nothing to filter");
    const Value operand = evaluate(filter.of, scope);
    return apply_filter(filter.name, operand, evaluate(filter.arguments, scope));
  }
  Value value(const Test& test, const ScopePtr& scope) {
    const Value operand = evaluate(test.of, scope);
    return apply_test(test.name, operand, evaluate(test.arguments, scope)) != test.negated;
  }

  const std::string& name_;
  int depth_ = 0;
  int64_t steps_ = 0;
  std::vector<ScopePtr> defining_;
  std::map<Object*, Value> spaces_;
};

}  // namespace

std::string render(const Statements& statements, const Dict& variables, const std::string& name, std::time_t now) {
  const auto globals = std::make_shared<Scope>();
  for (const Dict& names : {global_functions(now), variables})
    for (const auto& [key, value] : names.entries) globals->names[to_text(key)] = value;
  std::string text;
  Renderer(name).run(statements, globals, text);
  return text;
}

}  // namespace tessera::text::jinja

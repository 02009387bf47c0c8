#pragma once
#include <map>

#include "text/jinja_value.h"

/// What templates can do with values, as Jinja and Python define it.
namespace tessera::text::jinja {

/// `of.name`: a method, a key or an attribute; undefined where there is none.
Value attribute(const Value& of, const std::string& name);
/// `of[index]`
Value subscript(const Value& of, const Value& index);
/// `of[begin:end:step]`; none: left out
Value slice(const Value& of, const Value& begin, const Value& end, const Value& step);
/// A method of a string, list or dictionary, ready to be called; nothing where there is none of this name.
std::optional<Value> method(const Value& of, const std::string& name);

Value arithmetic(const std::string& op, const Value& a, const Value& b);
Value negative(const Value& value);
bool compares(const std::string& op, const Value& a, const Value& b);
/// The texts of both, one after the other.
Value concatenate(const Value& a, const Value& b);
/// "%s of %d" % values
std::string percent_format(const std::string& format, const Value& values);

/// @throws Error for an unknown name
Value apply_filter(const std::string& name, const Value& value, const Arguments& arguments);
bool apply_test(const std::string& name, const Value& value, const Arguments& arguments);

using Builtin = std::function<Value(const Value&, const Arguments&)>;
const std::map<std::string, Builtin>& sequence_filters();
const std::map<std::string, Builtin>& value_filters();

Value function(std::string name, std::function<Value(const Arguments&)> call);

}  // namespace tessera::text::jinja

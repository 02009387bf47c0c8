#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tessera {

/// What can be told of a JSON schema without compiling it.
using OrderedJson = nlohmann::ordered_json;

/// Keywords that forbid nothing: titles, descriptions, definitions, ...
bool is_annotation(const std::string& keyword);

/// @throws Error for a keyword that could forbid a text and is not known
void check_schema_keywords(const OrderedJson& schema, const std::string& where);

/// The types that a schema allows: all of them where it names none; "integer" and "number" not at once.
std::vector<std::string> schema_types(const OrderedJson& schema, const std::string& where);

bool is_of_type(const OrderedJson& value, const std::string& type);

/// What "#/$defs/name" refers to. @throws Error when there is nothing, or it is in another document
const OrderedJson& find_reference(const OrderedJson& root, const std::string& reference, const std::string& where);

/// True when no value can meet both schemas, as far as types, enum, const and required properties tell.
bool surely_disjoint(const OrderedJson& a, const OrderedJson& b, const OrderedJson& root, const std::string& where,
                     int depth = 0);

}  // namespace tessera

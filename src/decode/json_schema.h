#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "decode/grammar.h"

namespace tessera {

/// The JSON texts that a schema (draft 2020-12 or 7) allows, as a grammar.
///
/// Known are type, enum, const, properties, required, additionalProperties, items, prefixItems, minItems, maxItems,
/// minLength, maxLength, pattern, format (date, time, date-time, uuid), minimum, maximum and their exclusive forms for
/// integers, anyOf, oneOf, allOf of one part, $ref into the same document (also recursive), $defs. Any other keyword
/// that could forbid a text is an Error, and so is a schema that nothing can meet.
///
/// Of the allowed texts it is those in one form: properties in the order of the schema (the optional ones may be
/// missing, others follow where additionalProperties says so), no white space but one optional space behind `:` and
/// `,`, numbers of at most 15 digits before and after the point, integers of at most 18.
/// @param schema  in the order in which the properties are to come
/// @throws Error naming the place in the schema
Grammar schema_grammar(const nlohmann::ordered_json& schema, const std::string& where = "schema");

}  // namespace tessera

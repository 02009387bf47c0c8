#pragma once
#include <ctime>

#include "text/jinja_ast.h"

namespace tessera::text::jinja {

/// Carries out a template in the environment that transformers gives to chat templates: raise_exception(),
/// strftime_now(), namespace(), range(), dict(), `{% generation %}`, `{% break %}` and `{% continue %}`.
/// @param variables  what the template sees
/// @param name       how errors call the template
/// @param now        what strftime_now() tells
/// @throws Error with the template's own message where it raises; naming the line
std::string render(const Statements& statements, const Dict& variables, const std::string& name, std::time_t now);

/// The functions that every template can call.
Dict global_functions(std::time_t now);

}  // namespace tessera::text::jinja

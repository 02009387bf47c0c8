#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace tessera::apps {

/// Declares --precision. Pass what it is given to open_model().
void add_precision(CLI::App& command, std::string& precision);

/// Declares --device, likewise.
void add_device(CLI::App& command, std::string& device);

/// One verb of the program: it declares its options on the subcommand and returns what to run when it was chosen. The
/// function returns the exit status; a tessera::Error that it throws is printed in one line and ends with status 2.
using Verb = std::function<std::function<int()>(CLI::App& command)>;

struct NamedVerb {
  std::string name, help;
  Verb verb;
};

/// All verbs; each file of this folder adds its own with a static VerbRegistration.
std::vector<NamedVerb>& verbs();

struct VerbRegistration {
  VerbRegistration(std::string name, std::string help, Verb verb) {
    verbs().push_back({std::move(name), std::move(help), std::move(verb)});
  }
};

}  // namespace tessera::apps

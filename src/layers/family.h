#pragma once
#include <algorithm>
#include <functional>

#include "core/options.h"
#include "io/name_table.h"
#include "layers/module.h"

namespace tessera {

/// A module and the names under which its weights are published.
struct Assembly {
  std::shared_ptr<Module> module;
  NameTable names;
};

/// A kind of published model: how to recognise its config and how to build it.
struct ModelFamily {
  std::string name;   ///< "vit"
  std::string title;  ///< what it is and whose files it reads, for `tessera models`
  std::function<bool(const Json& config)> matches;
  std::function<Assembly(const Json& config, const std::string& where)> assemble;
};

/// All families; a file that brings one adds it with a static FamilyRegistration.
std::vector<ModelFamily>& model_families();

struct FamilyRegistration {
  explicit FamilyRegistration(ModelFamily family) { model_families().push_back(std::move(family)); }
};

/// Builds what a config describes. @throws Error naming the known families when none recognises it
Assembly assemble(const Json& config, const std::string& where, std::string* family = nullptr);

/// True when config["model_type"] is one of these.
bool is_model_type(const Json& config, const std::vector<std::string>& types);

}  // namespace tessera

#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <set>

#include "core/options.h"
#include "io/checkpoint.h"
#include "io/name_table.h"
#include "layers/module.h"

namespace tessera::parity {

/// One recorded call of a reference implementation.
struct Case {
  std::string name, call, mode, meaning, file;
  std::map<std::string, std::string> inputs, outputs, probes, grads;  ///< name -> key in cases.safetensors
  Json attributes;
  std::set<std::string> internals;
  double rtol = 1e-3, atol = 1e-4;
  Json json;
};

/// A recorded run: shared/goldens/README.md is the format.
struct Golden {
  std::filesystem::path folder;
  std::string system, kind, arch, variant;
  Json config;
  std::vector<Case> cases;
  std::shared_ptr<const Checkpoint> tensors;  ///< cases.safetensors; null where a golden has none
};

/// @throws Error when the folder is not a golden
Golden read_golden(const std::filesystem::path& folder);

/// What a case gives to a call, and what the call gives back.
using Inputs = std::map<std::string, Tensor>;
using Outputs = std::map<std::string, Tensor>;

/// A system under test, made freshly for every case.
struct System {
  std::shared_ptr<Module> module;  ///< null for a method
  NameTable names;                 ///< parameters, and the modules that the golden's internals name
  /// Runs the call. It throws Unsupported for a call or an attribute that the system does not have.
  std::function<Outputs(const Case&, const Inputs&)> call;
  /// For cases whose expectation is no tensor (tokenizers): what differs, empty when all agrees.
  std::function<std::vector<std::string>(const Case&)> check;
};

struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The adapters by system; each file of this folder adds its own with a static AdapterRegistration.
using Adapter = std::function<System(const Golden&)>;
std::map<std::string, Adapter>& adapters();
struct AdapterRegistration {
  AdapterRegistration(const std::string& system, Adapter adapter) { adapters()[system] = std::move(adapter); }
};

/// The assembly that the golden's config describes: the usual adapter begins with it.
System assemble_golden(const Golden& golden, const std::string& model_type = "");

}  // namespace tessera::parity

#pragma once
#include <filesystem>
#include <functional>

#include "io/checkpoint.h"
#include "tune/peft_config.h"

namespace tessera {

/// Tensors by the names that they have in adapter_model.safetensors.
using PeftTensors = std::vector<std::pair<std::string, torch::Tensor>>;

/// A PEFT folder: adapter_config.json and adapter_model.safetensors, remembered so that what did not change is written
/// to the same bytes.
class PeftFile {
 public:
  PeftFile() = default;  ///< of a new adapter
  /// @throws Error when the folder is none
  explicit PeftFile(const std::filesystem::path& folder);

  /// adapter_config.json, checked.
  PeftConfig config() const;
  /// Copies the file's tensors into those of an adapter.
  /// @param optional  true for a name that the file may lack
  /// @throws Error naming tensors that are surplus, missing or of another shape: the adapter is of another model
  void fill(const PeftTensors& tensors, const std::function<bool(const std::string&)>& optional) const;
  /// @param skip  true for a tensor that need not be written where the file did not hold it
  void save(const std::filesystem::path& folder, const PeftConfig& config, const PeftTensors& tensors,
            const std::function<bool(const std::string&)>& skip) const;

 private:
  std::filesystem::path folder_;
  std::string config_bytes_;
  std::optional<Checkpoint> checkpoint_;
};

}  // namespace tessera

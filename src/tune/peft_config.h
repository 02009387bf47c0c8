#pragma once
#include <optional>

#include "core/options.h"

namespace tessera {

/// Which modules, by their published path, PEFT's rules select: a list of names, each of which is the path or the end
/// of it, or a regular expression for the whole path, or "all-linear".
struct ModulePattern {
  std::vector<std::string> names;
  std::string expression;  ///< of the whole path; empty: the names count
  bool all_linear = false;

  bool empty() const { return names.empty() && expression.empty() && !all_linear; }
  /// What "all-linear" leaves out (the output head) is for the caller to say.
  bool matches(const std::string& path) const;
};

/// An adapter_config.json of PEFT (https://github.com/huggingface/peft), or of Tessera's bottleneck adapters.
struct PeftConfig {
  std::string type;  ///< "LORA", "IA3", "PREFIX_TUNING", "PROMPT_TUNING", "BOTTLENECK"
  ModulePattern targets, excluded, feedforward;
  std::vector<std::string> modules_to_save;
  std::optional<std::vector<int64_t>> layers;  ///< only modules of these layers
  std::vector<std::string> layer_patterns;     ///< what stands before the number of a layer; empty: anything

  int64_t rank = 8;
  double alpha = 8, dropout = 0;
  bool rank_stabilised = false, magnitude = false, bias = false;
  std::vector<std::pair<std::string, double>> ranks, alphas;  ///< of single modules, by expressions for their paths

  int64_t virtual_tokens = 0;
  int64_t bottleneck = 64;
  std::string activation = "gelu";

  Json json;  ///< as it was read

  /// @throws Error for what is unknown or not supported and would change the result
  static PeftConfig read(const Json& json, const std::string& where);

  bool selects(const std::string& path) const;
  int64_t rank_of(const std::string& path) const;
  /// The factor of the low-rank branch.
  double scale_of(const std::string& path) const;
};

}  // namespace tessera

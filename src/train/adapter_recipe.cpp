#include "train/adapter_recipe.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"

namespace tessera {
namespace {

using Names = std::vector<std::string>;

/// The modules of a kind of model that are tuned where nobody names others. `feedforward` are those whose inputs (IA)3
/// scales.
struct Usual {
  Names known_by;  // names that all have to occur
  Names low_rank, scaled, feedforward, bottleneck;
};

const std::vector<Usual>& usual_targets() {
  static const std::vector<Usual> all = {
      {{"q_proj", "down_proj"},
       {"q_proj", "v_proj"},
       {"k_proj", "v_proj", "down_proj"},
       {"down_proj"},
       {"o_proj", "down_proj"}},
      {{"qkv_proj", "down_proj"}, {"qkv_proj"}, {"qkv_proj", "down_proj"}, {"down_proj"}, {"o_proj", "down_proj"}},
      {{"c_attn"}, {"c_attn"}, {"c_attn", "mlp.c_proj"}, {"mlp.c_proj"}, {"c_proj"}},
      {{"q_proj", "fc2"}, {"q_proj", "v_proj"}, {"k_proj", "v_proj", "fc2"}, {"fc2"}, {"out_proj", "fc2"}},
      {{"qkv", "down"}, {"qkv"}, {"qkv", "down"}, {"down"}, {"proj", "down"}},
      {{"in_proj", "out_proj"}, {"in_proj", "out_proj"}, {}, {}, {"out_proj"}}};
  return all;
}

/// The last parts of the published names of all matrices.
std::set<std::string> ends_of(const Model& model) {
  std::set<std::string> ends;
  for (const auto& item : model.module->named_parameters())
    for (const auto& [name, place] : model.names.published(item.key())) {
      if (!name.ends_with(".weight")) continue;
      const std::string module = name.substr(0, name.size() - 7);
      ends.insert(module.substr(module.rfind('.') + 1));
    }
  return ends;
}

Usual usual_of(const Model& model) {
  const std::set<std::string> ends = ends_of(model);
  for (const Usual& usual : usual_targets()) {
    bool all = true;
    for (const std::string& name : usual.known_by) all = all && ends.contains(name);
    if (all) return usual;
  }
  return {};
}

Names targets_of(const TuneOptions& options, const Usual& usual) {
  if (!options.targets.empty()) return options.targets;
  if (options.method == "ia3") return usual.scaled;
  if (options.method == "bottleneck") return usual.bottleneck;
  return usual.low_rank.empty() ? Names{"all-linear"} : usual.low_rank;
}

/// Whether the file of a model holds the transposes of its matrices (GPT-2), which PEFT wants to be told.
bool is_transposed(const Model& model) {
  for (const auto& item : model.module->named_parameters())
    for (const auto& [name, place] : model.names.published(item.key()))
      if (place.transposed) return true;
  return false;
}

}  // namespace

PeftConfig adapter_config(const TuneOptions& options, const Model& base) {
  Json json = {{"task_type", "CAUSAL_LM"},
               {"base_model_name_or_path", base.folder.string()},
               {"inference_mode", true},
               {"revision", nullptr}};
  if (adds_tokens(options)) {
    json["peft_type"] = options.method == "prefix" ? "PREFIX_TUNING" : "PROMPT_TUNING";
    json["num_virtual_tokens"] = options.virtual_tokens;
    if (options.method == "prompt") json["prompt_tuning_init"] = "RANDOM";
    if (options.method == "prefix") json["prefix_projection"] = false;
    return PeftConfig::read(json, "adapter");
  }
  const Usual usual = usual_of(base);
  const Names targets = targets_of(options, usual);
  if (targets.empty())
    throw Error(
        "it is not known which modules of a model of family '" + base.family + "' " + options.method + " varies",
        "tune.targets", "name them: --targets out_proj,fc2; `tessera inspect` lists them");
  const bool all = targets == Names{"all-linear"};
  json["target_modules"] = all ? Json("all-linear") : Json(targets);
  json["modules_to_save"] = nullptr;
  if (options.method == "bottleneck") {
    json["peft_type"] = "BOTTLENECK";
    json["bottleneck_size"] = options.bottleneck;
    json["non_linearity"] = "gelu";
    return PeftConfig::read(json, "adapter");
  }
  json["fan_in_fan_out"] = is_transposed(base);
  if (options.method == "ia3") {
    json["peft_type"] = "IA3";
    Names feedforward;
    for (const std::string& name : targets)
      if (std::find(usual.feedforward.begin(), usual.feedforward.end(), name) != usual.feedforward.end())
        feedforward.push_back(name);
    json["feedforward_modules"] = feedforward;
    json["init_ia3_weights"] = true;
    return PeftConfig::read(json, "adapter");
  }
  json["peft_type"] = "LORA";
  json["r"] = options.rank;
  const bool whole = options.alpha == std::floor(options.alpha);  // PEFT writes a whole number as one
  json["lora_alpha"] = whole ? Json(static_cast<int64_t>(options.alpha)) : Json(options.alpha);
  json["lora_dropout"] = options.dropout;
  json["use_dora"] = options.method == "dora";
  json["use_rslora"] = options.method == "rslora";
  json["bias"] = "none";
  json["init_lora_weights"] = true;
  return PeftConfig::read(json, "adapter");
}

double usual_learning_rate(const std::string& method) {
  if (method == "ia3") return 8e-3;
  if (method == "prefix") return 1e-2;
  if (method == "prompt") return 3e-2;
  return 2e-4;
}

}  // namespace tessera

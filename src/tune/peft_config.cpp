#include "tune/peft_config.h"

#include <cmath>
#include <regex>

#include "io/published_config.h"

namespace tessera {
namespace {

bool is_end_of(const std::string& path, const std::string& name) { return path == name || path.ends_with("." + name); }

bool fully_matches(const std::string& path, const std::string& expression) {
  try {
    return std::regex_match(path, std::regex(expression));
  } catch (const std::regex_error&) {
    throw Error("'" + expression + "' is no regular expression that Tessera knows", "adapter_config.json",
                "name the modules in a list");
  }
}

ModulePattern read_pattern(const Json& json, const std::string& where) {
  ModulePattern pattern;
  if (json.is_string() && json == "all-linear")
    pattern.all_linear = true;
  else if (json.is_string())
    pattern.expression = json.get<std::string>();
  else if (!json.is_null())
    detail::read_value(json, pattern.names, where);
  return pattern;
}

/// One value, or a list of them.
template <class T>
std::vector<T> one_or_more(const Json& json, const std::string& where) {
  std::vector<T> values;
  if (json.is_array())
    detail::read_value(json, values, where);
  else if (!json.is_null())
    detail::read_value(json, values.emplace_back(), where);
  return values;
}

std::vector<std::pair<std::string, double>> read_numbers(const Json& json, const std::string& where) {
  std::vector<std::pair<std::string, double>> numbers;
  if (json.is_null()) return numbers;
  std::map<std::string, double> values;
  detail::read_value(json, values, where);
  return {values.begin(), values.end()};
}

double of_path(const std::vector<std::pair<std::string, double>>& numbers, const std::string& path, double otherwise) {
  for (const auto& [expression, number] : numbers)
    if (fully_matches(path, "(.*\\.)?(" + expression + ")")) return number;
  return otherwise;
}

/// What PEFT can do beyond this must be off.
void refuse_the_rest(PublishedConfig& config) {
  for (const char* key : {"lora_bias", "use_qalora"}) config.expect(key, false);
  for (const char* key : {"layer_replication", "target_parameters", "trainable_token_indices",
                          "alora_invocation_tokens", "arrow_config", "kasa_config", "use_bdlora", "velora_config",
                          "monteclora_config", "megatron_config", "corda_config", "eva_config", "lora_ga_config"})
    if (config.has(key)) throw Error("'" + std::string(key) + "' is not supported", config.where());
  config.ignore({"layer_replication",
                 "target_parameters",
                 "trainable_token_indices",
                 "alora_invocation_tokens",
                 "arrow_config",
                 "kasa_config",
                 "use_bdlora",
                 "velora_config",
                 "monteclora_config",
                 "megatron_config",
                 "corda_config",
                 "eva_config",
                 "lora_ga_config",
                 "loftq_config",
                 "megatron_core",
                 "qalora_group_size",
                 "ensure_weight_tying",
                 "runtime_config",
                 "init_ia3_weights",
                 "fan_in_fan_out",
                 "task_type",
                 "auto_mapping",
                 "peft_version",
                 "base_model_name_or_path",
                 "revision",
                 "inference_mode"});
}

void read_lora(PublishedConfig& config, PeftConfig& result) {
  result.rank = config.get<int64_t>("r", 8);
  result.alpha = config.get<double>("lora_alpha", 8);
  result.dropout = config.get<double>("lora_dropout", 0);
  result.rank_stabilised = config.get<bool>("use_rslora", false);
  result.magnitude = config.get<bool>("use_dora", false);
  const auto bias = config.get<std::string>("bias", "none");
  if (bias != "none" && bias != "lora_only")
    throw Error("bias \"" + bias + "\" is not supported", config.where(), "use \"none\" or \"lora_only\"");
  result.bias = bias == "lora_only";
  result.ranks = read_numbers(config.get<Json>("rank_pattern", nullptr), config.where() + ": rank_pattern");
  result.alphas = read_numbers(config.get<Json>("alpha_pattern", nullptr), config.where() + ": alpha_pattern");
  const Json init = config.get<Json>("init_lora_weights", true);
  if (!init.is_boolean() && init != "gaussian")
    throw Error("init_lora_weights " + init.dump() + " is not supported", config.where(),
                "it changes the model's own weights; save the adapter as a plain LoRA");
  if (result.rank < 1)
    throw Error("a rank of " + std::to_string(result.rank), config.where() + ": r", "ranks are positive");
}

void read_virtual_tokens(PublishedConfig& config, PeftConfig& result) {
  result.virtual_tokens = config.require<int64_t>("num_virtual_tokens");
  if (result.virtual_tokens < 1) throw Error("must be positive", config.where() + ": num_virtual_tokens");
  // The projection is folded into the vectors when they are saved; the other keys repeat the model's config.
  config.ignore({"token_dim", "num_transformer_submodules", "num_attention_heads", "num_layers", "encoder_hidden_size",
                 "prefix_projection", "init_weights", "prompt_tuning_init", "prompt_tuning_init_text",
                 "tokenizer_name_or_path", "tokenizer_kwargs"});
}

}  // namespace

bool ModulePattern::matches(const std::string& path) const {
  if (all_linear) return true;
  if (!expression.empty()) return fully_matches(path, expression);
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return is_end_of(path, name); });
}

PeftConfig PeftConfig::read(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  PeftConfig result;
  result.json = json;
  result.type = config.require<std::string>("peft_type");
  check_choice(result.type, {"LORA", "IA3", "PREFIX_TUNING", "PROMPT_TUNING", "BOTTLENECK"}, where + ": peft_type");
  const auto pattern = [&](const char* key) {
    return read_pattern(config.get<Json>(key, nullptr), where + ": " + key);
  };
  result.targets = pattern("target_modules");
  result.excluded = pattern("exclude_modules");
  result.feedforward = pattern("feedforward_modules");
  result.modules_to_save = config.get<std::vector<std::string>>("modules_to_save", {});
  if (config.has("layers_to_transform"))
    result.layers =
        one_or_more<int64_t>(config.get<Json>("layers_to_transform", nullptr), where + ": layers_to_transform");
  result.layer_patterns =
      one_or_more<std::string>(config.get<Json>("layers_pattern", nullptr), where + ": layers_pattern");
  if (result.type == "LORA") read_lora(config, result);
  if (result.type.ends_with("_TUNING")) read_virtual_tokens(config, result);
  if (result.type == "BOTTLENECK") {
    result.bottleneck = config.get<int64_t>("bottleneck_size", 64);
    result.activation = config.get<std::string>("non_linearity", "gelu");
  }
  if (!result.type.ends_with("_TUNING") && result.targets.empty())
    throw Error("names no modules", where + ": target_modules", "for instance [\"q_proj\", \"v_proj\"]");
  refuse_the_rest(config);
  config.done();
  return result;
}

bool PeftConfig::selects(const std::string& path) const {
  if (!excluded.empty() && excluded.matches(path)) return false;
  if (!targets.matches(path)) return false;
  if (!layers || layers->empty() || !targets.expression.empty()) return true;
  std::vector<std::string> before = layer_patterns;
  if (before.empty()) before.push_back("[^.]*");
  for (const std::string& pattern : before) {
    std::smatch found;
    const std::regex expression(".*\\." + pattern + "\\.(\\d+)\\..*");
    if (std::regex_match(path, found, expression))
      return std::find(layers->begin(), layers->end(), std::stoll(found[1].str())) != layers->end();
  }
  return false;
}

int64_t PeftConfig::rank_of(const std::string& path) const {
  return static_cast<int64_t>(of_path(ranks, path, static_cast<double>(rank)));
}

double PeftConfig::scale_of(const std::string& path) const {
  const auto r = static_cast<double>(rank_of(path));
  return of_path(alphas, path, alpha) / (rank_stabilised ? std::sqrt(r) : r);
}

}  // namespace tessera

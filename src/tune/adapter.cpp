#include "tune/adapter.h"

#include <algorithm>
#include <string_view>

#include "core/error.h"
#include "layers/weights.h"
#include "tune/added_parts.h"
#include "tune/low_rank.h"

namespace tessera {
namespace {

/// The parameters of a layer that can be varied; without weight for any other module.
LayerWeights weights_of(const torch::nn::Module& module) {
  if (const auto* linear = dynamic_cast<const Linear*>(&module)) return {linear->weight, linear->bias};
  if (const auto* table = dynamic_cast<const Embedding*>(&module)) return {table->weight, {}};
  return {};
}

/// Names of modules that make a model's output, which "all-linear" leaves alone.
bool is_head(const std::string& path) {
  const std::string last = path.substr(path.rfind('.') + 1);
  return last == "lm_head" || last == "head" || last == "classifier" || last == "score";
}

std::string without_weight(const std::string& published) {
  return published.ends_with(".weight") ? published.substr(0, published.size() - 7) : published;
}

std::shared_ptr<Variation> low_rank(const PeftConfig& config, const std::string& path, const torch::nn::Module& layer,
                                    const LayerWeights& part) {
  const int64_t rank = config.rank_of(path);
  const double scale = config.scale_of(path);
  if (dynamic_cast<const Embedding*>(&layer)) {
    if (config.magnitude) throw Error("DoRA of an embedding is not supported", path, "leave it out of target_modules");
    return std::make_shared<LowRankEmbedding>(part.weight.size(0), part.weight.size(1), rank, scale);
  }
  return std::make_shared<LowRank>(LowRankOptions{.in = part.weight.size(1),
                                                  .out = part.weight.size(0),
                                                  .rank = rank,
                                                  .scale = scale,
                                                  .dropout = config.dropout,
                                                  .magnitude = config.magnitude,
                                                  .bias = config.bias},
                                   part);
}

std::shared_ptr<Variation> variation_for(const PeftConfig& config, const std::string& path,
                                         const torch::nn::Module& layer, const LayerWeights& part) {
  if (config.type == "LORA") return low_rank(config, path, layer, part);
  if (!dynamic_cast<const Linear*>(&layer)) throw Error("only linear modules can be varied so", path);
  if (config.type == "BOTTLENECK")
    return std::make_shared<Bottleneck>(part.weight.size(0), config.bottleneck, config.activation);
  const bool inputs = !config.feedforward.empty() && config.feedforward.matches(path);
  return std::make_shared<Scale>(part.weight.size(inputs ? 1 : 0), inputs);
}

/// The names under which PEFT stores the parameters of a variation.
PeftTensors peft_tensors(const Variation& variation, const std::string& prefix) {
  PeftTensors tensors;
  const auto add = [&](const char* name, const Tensor& tensor) {
    if (tensor.defined()) tensors.emplace_back(prefix + name, tensor);
  };
  if (const auto* lora = dynamic_cast<const LowRank*>(&variation)) {
    add(".lora_A.weight", lora->a);
    add(".lora_B.weight", lora->b);
    add(".lora_magnitude_vector", lora->magnitude);
    add(".base_layer.bias", lora->bias);
  } else if (const auto* table = dynamic_cast<const LowRankEmbedding*>(&variation)) {
    add(".lora_embedding_A", table->a);
    add(".lora_embedding_B", table->b);
  } else if (const auto* scale = dynamic_cast<const Scale*>(&variation)) {
    add(".ia3_l", scale->factors);
  } else if (const auto* bottleneck = dynamic_cast<const Bottleneck*>(&variation)) {
    add(".adapter.down.weight", bottleneck->down_weight);
    add(".adapter.down.bias", bottleneck->down_bias);
    add(".adapter.up.weight", bottleneck->up_weight);
    add(".adapter.up.bias", bottleneck->up_bias);
  } else if (const auto* whole = dynamic_cast<const Replacement*>(&variation)) {
    add(".weight", whole->weight);
    add(".bias", whole->bias);
  }
  return tensors;
}

/// Tells whether bytes changed, without a copy of them.
size_t fingerprint(const Tensor& tensor) {
  const Tensor packed = tensor.detach().cpu().contiguous();
  return std::hash<std::string_view>()({static_cast<const char*>(packed.data_ptr()), packed.nbytes()});
}

}  // namespace

Adapter::Adapter(torch::nn::Module& model, PeftConfig config, const std::string& name)
    : model_(&model), config_(std::move(config)), name_(name) {
  const bool plain = std::all_of(name_.begin(), name_.end(), [](char c) { return std::isalnum(c) || c == '_'; });
  if (name_.empty() || !plain)
    throw Error("'" + name_ + "' is no name of an adapter", "", "use letters, digits and '_'");
}

Adapter Adapter::attach(torch::nn::Module& model, const NameTable& names, const PeftConfig& config,
                        const std::string& name) {
  Adapter adapter(model, config, name);
  adapter.attach_all(names);
  return adapter;
}

void Adapter::attach_all(const NameTable& names) {
  if (config_.type.ends_with("_TUNING"))
    throw Error("'" + config_.type + "' adds tokens, not parts of layers", "peft_type", "attach it as VirtualTokens");
  std::vector<std::pair<std::string, torch::nn::Module*>> layers;
  for (const auto& item : model_->named_modules())
    if (weights_of(*item.value()).weight.defined()) layers.emplace_back(item.key(), item.value().get());
  for (const auto& [path, layer] : layers)
    for (const auto& [published, place] : names.published(path + ".weight"))
      attach_to(without_weight(published), place, *layer);
  if (sites_.empty())
    throw Error(
        "no module of the model is selected by target_modules " + config_.json.value("target_modules", Json()).dump(),
        "adapter '" + name_ + "'", "the adapter was made for another model");
}

void Adapter::attach_to(const std::string& published, const Place& place, torch::nn::Module& layer) {
  const auto& saved = config_.modules_to_save;
  const bool replace = std::any_of(saved.begin(), saved.end(), [&](const std::string& end) {
    return published == end || published.ends_with("." + end);
  });
  const bool left_out = config_.targets.all_linear && (!dynamic_cast<Linear*>(&layer) || is_head(published));
  if (!replace && (left_out || !config_.selects(published))) return;

  const LayerWeights whole = weights_of(layer);
  Place rows = place;
  rows.transposed = false;
  const Tensor view = published_part(whole.weight, rows);
  Site site{&layer, "adapter_" + name_ + "_" + std::to_string(place.part), {}, nullptr};
  const int64_t begin = (view.storage_offset() - whole.weight.storage_offset()) / whole.weight.stride(0);
  site.part.weight = view;
  if (whole.bias.defined()) site.part.bias = whole.bias.narrow(0, begin, view.size(0));
  site.variation =
      replace ? std::make_shared<Replacement>(site.part) : variation_for(config_, published, layer, site.part);
  site.variation->begin = begin;
  site.variation->rows = place.parts > 1 ? view.size(0) : 0;
  site.variation->to(view.device());
  site.variation->train(layer.is_training());
  add_variation(layer, site.child, site.variation);
  for (auto& [name, tensor] : peft_tensors(*site.variation, "base_model.model." + published)) {
    if (name.ends_with(".base_layer.bias")) biases_[name] = site.part.bias;
    tensors_.emplace_back(name, tensor);
  }
  sites_.push_back(std::move(site));
}

bool Adapter::is_unchanged_bias(const std::string& name) const {
  const auto own = biases_.find(name);
  if (own == biases_.end()) return false;
  for (const auto& [known, tensor] : tensors_)
    if (known == name) return torch::equal(tensor, own->second);
  return false;
}

Adapter Adapter::load(torch::nn::Module& model, const NameTable& names, const std::filesystem::path& folder,
                      const std::string& name) {
  PeftFile file(folder);
  Adapter adapter(model, file.config(), name);
  try {
    adapter.attach_all(names);
    // PEFT leaves the biases that "lora_only" trains out of its file.
    file.fill(adapter.tensors_, [&](const std::string& tensor) { return adapter.biases_.contains(tensor); });
  } catch (const Error& error) {
    adapter.detach();
    if (error.where().find(folder.string()) != std::string::npos) throw;
    throw error.within(folder.string());
  }
  adapter.file_ = std::move(file);
  return adapter;
}

void Adapter::save(const std::filesystem::path& folder) const {
  file_.save(folder, config_, tensors_, [&](const std::string& name) { return is_unchanged_bias(name); });
}

void Adapter::detach() {
  unmerge();
  for (const Site& site : sites_) remove_variation(*site.layer, site.child);
  for (auto& [parameter, trained] : trained_) parameter.requires_grad_(trained);
  trained_.clear();
  sites_.clear();
}

void Adapter::activate(bool active) {
  if (!active) unmerge();
  for (const Site& site : sites_) site.variation->active = active && !is_merged();
}

void Adapter::merge() {
  if (is_merged()) return;
  put_in([&](const Tensor& parameter, const Tensor& value) {
    const Tensor before = parameter.clone();
    parameter.copy_(value);
    replaced_.push_back({parameter, before, fingerprint(parameter)});
  });
  for (const Site& site : sites_) site.variation->active = false;
}

void Adapter::merge_for_good() {
  if (is_merged())
    replaced_.clear();
  else
    put_in([](const Tensor& parameter, const Tensor& value) { parameter.copy_(value); });
  detach();
}

namespace {

/// The rows of a layer's parameters that a variation concerns, as they are now: a model that was moved has others than
/// it had when the adapter was attached.
LayerWeights rows_of(const torch::nn::Module& layer, int64_t begin, int64_t count) {
  const LayerWeights whole = weights_of(layer);
  const auto rows = [&](const Tensor& x) { return x.defined() ? x.narrow(0, begin, count) : x; };
  return {rows(whole.weight), rows(whole.bias)};
}

}  // namespace

void Adapter::put_in(const std::function<void(const Tensor& parameter, const Tensor& value)>& replace) {
  const torch::NoGradGuard no_grad;
  // What cannot be merged says so before anything is replaced.
  for (const Site& site : sites_)
    if (auto* bottleneck = dynamic_cast<Bottleneck*>(site.variation.get())) bottleneck->merged(site.part);
  for (const Site& site : sites_) {
    const LayerWeights part = rows_of(*site.layer, site.variation->begin, site.part.weight.size(0));
    const LayerWeights merged = site.variation->merged(part);
    replace(part.weight, merged.weight);
    if (merged.bias.defined() && !merged.bias.is_same(part.bias)) replace(part.bias, merged.bias);
  }
}

void Adapter::unmerge() {
  if (!is_merged()) return;
  for (const Replaced& one : replaced_)
    if (fingerprint(one.parameter) != one.after)
      throw Error("the model's parameters changed since the adapter was merged", "adapter '" + name_ + "'",
                  "unmerge what was merged after it first");
  const torch::NoGradGuard no_grad;
  for (Replaced& one : replaced_) one.parameter.copy_(one.before);
  replaced_.clear();
  for (const Site& site : sites_) site.variation->active = true;
}

void Adapter::train_only() {
  const std::vector<Tensor> own = parameters();
  const bool first = trained_.empty();
  for (Tensor& parameter : model_->parameters()) {
    if (first) trained_.emplace_back(parameter, parameter.requires_grad());
    parameter.requires_grad_(false);
  }
  for (Tensor parameter : own) parameter.requires_grad_(true);
}

std::vector<Tensor> Adapter::parameters() const {
  std::vector<Tensor> all;
  for (const auto& [name, tensor] : tensors_) all.push_back(tensor);
  return all;
}

}  // namespace tessera

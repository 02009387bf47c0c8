#include "tune/virtual_tokens.h"

#include "layers/key_value_cache.h"

namespace tessera {
namespace {

class Vectors : public Module {
 public:
  Vectors(int64_t count, int64_t width) {
    value = register_parameter("vectors", torch::randn({count, width}));  // as PEFT draws them
  }
  Tensor value;
};

/// The first of these keys that a config.json has; published configs spell sizes in several ways.
int64_t size_of(const Json& config, const std::vector<const char*>& keys, int64_t otherwise) {
  for (const char* key : keys)
    if (config.contains(key) && config[key].is_number_integer()) return config[key].get<int64_t>();
  return otherwise;
}

struct KeyShape {
  int64_t heads, width;
};

/// How many heads the keys of a model have, and how wide they are.
KeyShape key_shape(const Json& config) {
  const int64_t heads = size_of(config, {"num_attention_heads", "n_head", "num_heads"}, 0);
  const int64_t dim = size_of(config, {"hidden_size", "n_embd", "d_model"}, 0);
  if (heads < 1 || dim < 1)
    throw Error("does not say how many attention heads there are", "config.json", "use prompt tuning for this model");
  return {size_of(config, {"num_key_value_heads"}, heads), size_of(config, {"head_dim"}, dim / heads)};
}

const char* const kName = "prompt_embeddings";

}  // namespace

VirtualTokens::VirtualTokens(std::shared_ptr<LanguageModel> model, const Json& model_config, PeftConfig config,
                             const std::string& name)
    : model_(std::move(model)), config_(std::move(config)), child_("virtual_tokens_" + name) {
  if (!config_.type.ends_with("_TUNING"))
    throw Error("'" + config_.type + "' varies layers and adds no tokens", "peft_type", "attach it as an Adapter");
  int64_t width = model_->width();
  if (is_prefix()) {
    const LanguageState state = model_->start();
    for (const auto& mixer : state.mixers)
      if (!std::dynamic_pointer_cast<KeyValueCache>(mixer))
        throw Error("a prefix needs attention in every layer", "PREFIX_TUNING", "use prompt tuning for this model");
    const KeyShape keys = key_shape(model_config);
    heads_ = keys.heads;
    width = 2 * static_cast<int64_t>(state.mixers.size()) * keys.heads * keys.width;
  }
  const auto vectors = std::make_shared<Vectors>(config_.virtual_tokens, width);
  model_->register_module(child_, vectors);
  vectors_ = vectors->value;
}

VirtualTokens VirtualTokens::attach(std::shared_ptr<LanguageModel> model, const Json& model_config,
                                    const PeftConfig& config, const std::string& name) {
  return VirtualTokens(std::move(model), model_config, config, name);
}

VirtualTokens VirtualTokens::load(std::shared_ptr<LanguageModel> model, const Json& model_config,
                                  const std::filesystem::path& folder, const std::string& name) {
  PeftFile file(folder);
  VirtualTokens result(std::move(model), model_config, file.config(), name);
  try {
    file.fill({{kName, result.vectors_}}, [](const std::string&) { return false; });
  } catch (const Error&) {
    result.detach();
    throw;
  }
  result.file_ = std::move(file);
  return result;
}

void VirtualTokens::save(const std::filesystem::path& folder) const {
  file_.save(folder, config_, {{kName, vectors_}}, [](const std::string&) { return false; });
}

void VirtualTokens::detach() {
  model_->unregister_module(child_);
  for (auto& [parameter, trained] : trained_) parameter.requires_grad_(trained);
  trained_.clear();
}

Tokens VirtualTokens::prompt(int64_t batch) const {
  Tokens tokens;
  tokens.x = vectors_.unsqueeze(0).expand({batch, -1, -1});
  return tokens;
}

LanguageState VirtualTokens::start(int64_t batch) const {
  LanguageState state = model_->start();
  begin(state, batch);
  return state;
}

void VirtualTokens::begin(LanguageState& state, int64_t batch) const {
  if (!is_prefix()) {
    model_->hidden(prompt(batch), &state);
    return;
  }
  const auto layers = static_cast<int64_t>(state.mixers.size());
  const Tensor pairs = vectors_.view({config_.virtual_tokens, 2 * layers, heads_, -1}).permute({1, 2, 0, 3});
  for (int64_t i = 0; i < layers; ++i) {
    const auto of = [&](int64_t k) { return pairs[2 * i + k].unsqueeze(0).expand({batch, -1, -1, -1}); };
    dynamic_cast<KeyValueCache&>(*state.mixers[static_cast<size_t>(i)]).append({of(0), of(1), {}});
  }
  state.seen =
      torch::full({batch}, config_.virtual_tokens, vectors_.options().dtype(torch::kInt64).requires_grad(false));
}

Tensor VirtualTokens::forward(const TextBatch& text, const Tensor& positions) const {
  const int64_t batch = text.ids.size(0);
  Tokens tokens;
  tokens.x = model_->embed(text.ids);
  tokens.mask = text.mask, tokens.ids = text.ids;
  if (positions.defined()) tokens.at = positions.unsqueeze(-1);
  if (is_prefix()) {
    LanguageState state = start(batch);
    return model_->logits(model_->hidden(tokens, &state).x);
  }
  tokens.x = torch::cat({prompt(batch).x, tokens.x}, 1);
  if (text.mask.defined())
    tokens.mask = torch::cat({torch::ones({batch, config_.virtual_tokens}, text.mask.options()), text.mask}, 1);
  tokens.ids = torch::constant_pad_nd(text.ids, {config_.virtual_tokens, 0}, -1);
  return model_->logits(model_->hidden(tokens, nullptr).x);
}

Tensor VirtualTokens::labels(const Tensor& of_text) const {
  if (is_prefix()) return of_text;
  return torch::cat({torch::full({of_text.size(0), config_.virtual_tokens}, -100, of_text.options()), of_text}, 1);
}

void VirtualTokens::train_only() {
  const bool first = trained_.empty();
  for (Tensor& parameter : model_->parameters()) {
    if (first) trained_.emplace_back(parameter, parameter.requires_grad());
    parameter.requires_grad_(false);
  }
  vectors_.requires_grad_(true);
}

}  // namespace tessera

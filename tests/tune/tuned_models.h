#pragma once
#include <gtest/gtest.h>

#include "core/files.h"
#include "language/bert_classifier.h"
#include "language/t5.h"
#include "layers/family.h"
#include "layers/promises.h"
#include "layers/weights.h"
#include "support/scratch.h"
#include "tune/adapter.h"

namespace tessera::testing {

/// A small model of a family, assembled from a config as published, with drawn weights.
struct Subject {
  std::string name;
  Json config;
  std::shared_ptr<Module> module;
  NameTable names;

  Tensor run() const {
    const Tensor ids = torch::tensor({{3, 4, 5, 6}, {7, 8, 9, 2}}, torch::kInt64), mask = torch::ones_like(ids);
    if (auto* t5 = dynamic_cast<T5*>(module.get())) {
      LanguageState state = t5->start(t5->encode({ids, mask, {}}));
      return t5->forward({ids, {}, {}}, &state);
    }
    if (auto* bert = dynamic_cast<BertClassifier*>(module.get())) return bert->forward({ids, mask, {}});
    return dynamic_cast<LanguageModel&>(*module).forward({ids, mask, {}});
  }

  /// Every byte of the model's own parameters.
  std::map<std::string, std::string> bytes() const {
    std::map<std::string, std::string> all;
    for (const auto& [name, tensor] : named_tensors(*module)) {
      const Tensor packed = tensor.detach().contiguous();
      const bool added = name.find("adapter_") != std::string::npos || name.find("virtual_") != std::string::npos;
      if (!added) all[name] = {static_cast<const char*>(packed.data_ptr()), packed.nbytes()};
    }
    return all;
  }
};

inline Subject subject(const std::string& name, const Json& config) {
  Assembly assembly = assemble(config, name);
  randomise(*assembly.module);
  assembly.module->eval();
  return {name, config, assembly.module, assembly.names};
}

inline Subject llama(int64_t dim = 16) {
  return subject("llama", {{"model_type", "llama"},
                           {"vocab_size", 50},
                           {"hidden_size", dim},
                           {"intermediate_size", 24},
                           {"num_hidden_layers", 2},
                           {"num_attention_heads", 4},
                           {"num_key_value_heads", 2},
                           {"max_position_embeddings", 64},
                           {"rms_norm_eps", 1e-6},
                           {"tie_word_embeddings", false}});
}

inline Subject gpt2() {
  return subject(
      "gpt2",
      {{"model_type", "gpt2"}, {"vocab_size", 50}, {"n_embd", 16}, {"n_layer", 2}, {"n_head", 4}, {"n_positions", 32}});
}

inline Subject t5() {
  return subject("t5", {{"model_type", "t5"},
                        {"vocab_size", 50},
                        {"d_model", 16},
                        {"d_kv", 4},
                        {"d_ff", 24},
                        {"num_layers", 2},
                        {"num_heads", 4},
                        {"feed_forward_proj", "gated-gelu"}});
}

inline Subject bert() {
  return subject("bert", {{"model_type", "bert"},
                          {"architectures", {"BertForSequenceClassification"}},
                          {"vocab_size", 50},
                          {"hidden_size", 16},
                          {"num_hidden_layers", 2},
                          {"num_attention_heads", 4},
                          {"intermediate_size", 24},
                          {"max_position_embeddings", 32}});
}

inline PeftConfig peft(const Json& json) { return PeftConfig::read(json, "adapter_config.json"); }

/// An adapter of every kind that can be merged, on every family: projections alone, fused and transposed.
struct Tuned {
  Subject model;
  PeftConfig config;
};
inline std::vector<Tuned> mergeable() {
  const Json lora = {{"peft_type", "LORA"}, {"r", 3}, {"lora_alpha", 6}};
  const auto with = [](Json config, const Json& more) {
    config.update(more);
    return peft(config);
  };
  const Json llama_targets = {"q_proj", "v_proj", "up_proj", "down_proj"};
  return {
      {llama(), with(lora, {{"target_modules", llama_targets}})},
      {llama(), with(lora, {{"target_modules", llama_targets}, {"use_dora", true}, {"use_rslora", true}})},
      {llama(), with(lora, {{"target_modules", {"k_proj", "embed_tokens"}}, {"modules_to_save", {"lm_head"}}})},
      {gpt2(), with(lora, {{"target_modules", {"c_attn", "c_fc"}}, {"fan_in_fan_out", true}, {"bias", "lora_only"}})},
      {gpt2(), with(lora, {{"target_modules", "all-linear"}, {"use_dora", true}})},
      {t5(), with(lora, {{"target_modules", {"q", "v", "wi_1"}}})},
      {t5(), peft({{"peft_type", "IA3"}, {"target_modules", {"k", "v", "wo"}}, {"feedforward_modules", {"wo"}}})},
      {bert(), with(lora, {{"target_modules", {"query", "value"}}, {"modules_to_save", {"classifier"}}})},
      {bert(), peft({{"peft_type", "IA3"},
                     {"target_modules", {"key", "value", "output.dense"}},
                     {"feedforward_modules", {"output.dense"}}})}};
}

/// Gives an adapter something to do.
inline void draw(Adapter& adapter) {
  const torch::NoGradGuard no_grad;
  at::manual_seed(5);
  for (Tensor& parameter : adapter.parameters()) parameter.add_(torch::randn_like(parameter) * 0.3);
}

}  // namespace tessera::testing

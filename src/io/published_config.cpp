#include "io/published_config.h"

#include <algorithm>
#include <sstream>

namespace tessera {
namespace {

// What transformers writes into every config.json, and what only generation or training read.
const std::set<std::string>& bookkeeping() {
  static const std::set<std::string> keys = {"_attn_implementation",
                                             "_attn_implementation_autoset",
                                             "_commit_hash",
                                             "_name_or_path",
                                             "add_cross_attention",
                                             "architectures",
                                             "attention_dropout",
                                             "attention_probs_dropout_prob",
                                             "auto_map",
                                             "bad_words_ids",
                                             "begin_suppress_tokens",
                                             "chunk_size_feed_forward",
                                             "classifier_dropout",
                                             "cross_attention_hidden_size",
                                             "custom_pipelines",
                                             "decoder_start_token_id",
                                             "diversity_penalty",
                                             "do_sample",
                                             "dtype",
                                             "early_stopping",
                                             "encoder_no_repeat_ngram_size",
                                             "exponential_decay_length_penalty",
                                             "finetuning_task",
                                             "forced_bos_token_id",
                                             "forced_eos_token_id",
                                             "gradient_checkpointing",
                                             "id2label",
                                             "initializer_factor",
                                             "initializer_range",
                                             "is_decoder",
                                             "is_encoder_decoder",
                                             "label2id",
                                             "length_penalty",
                                             "max_length",
                                             "min_length",
                                             "model_type",
                                             "no_repeat_ngram_size",
                                             "num_beam_groups",
                                             "num_beams",
                                             "num_labels",
                                             "num_return_sequences",
                                             "output_attentions",
                                             "output_hidden_states",
                                             "output_scores",
                                             "prefix",
                                             "problem_type",
                                             "pruned_heads",
                                             "remove_invalid_values",
                                             "repetition_penalty",
                                             "return_dict",
                                             "return_dict_in_generate",
                                             "sep_token_id",
                                             "suppress_tokens",
                                             "task_specific_params",
                                             "temperature",
                                             "tf_legacy_loss",
                                             "tie_encoder_decoder",
                                             "tie_word_embeddings",
                                             "tokenizer_class",
                                             "top_k",
                                             "top_p",
                                             "torch_dtype",
                                             "torchscript",
                                             "transformers_version",
                                             "typical_p",
                                             "use_bfloat16",
                                             "use_cache"};
  return keys;
}

}  // namespace

PublishedConfig::PublishedConfig(Json json, std::string where) : json_(std::move(json)), where_(std::move(where)) {
  if (json_.is_null()) json_ = Json::object();
  if (!json_.is_object()) throw Error("expected an object", where_);
}

const Json* PublishedConfig::find(const std::string& keys) {
  std::istringstream words(keys);
  const Json* found = nullptr;
  for (std::string key; std::getline(words, key, '|');) {
    used_.insert(key);
    if (!found && has(key)) found = &json_.at(key), last_ = key;
  }
  return found;
}

std::vector<int64_t> PublishedConfig::pair(const std::string& keys, int64_t otherwise) {
  const Json* found = find(keys);
  if (!found) return {otherwise, otherwise};
  if (found->is_number()) return {get<int64_t>(keys, 0), get<int64_t>(keys, 0)};
  auto both = get<std::vector<int64_t>>(keys, {});
  if (both.size() != 2) throw Error("expected a number or a pair [height, width]", where_ + ": " + last_);
  return both;
}

PublishedConfig PublishedConfig::nested(const std::string& key) {
  used_.insert(key);
  return {json_.value(key, Json::object()), where_ + ": " + key};
}

void PublishedConfig::missing(const std::string& keys) const {
  throw Error("the key '" + keys.substr(0, keys.find('|')) + "' is missing", where_,
              "is this the config of such a model?");
}

void PublishedConfig::unsupported(const std::string& key) const {
  throw Error("'" + key + "': " + json_.at(key).dump() + " is not supported", where_);
}

void PublishedConfig::done() const {
  for (const auto& [key, value] : json_.items()) {
    if (used_.contains(key) || bookkeeping().contains(key)) continue;
    throw Error("unknown key '" + key + "'", where_,
                "it could change what the model computes; remove it if it does not");
  }
}

}  // namespace tessera

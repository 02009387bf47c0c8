#include "decode/options.h"

#include <cmath>

#include "io/published_config.h"

namespace tessera {
namespace {

void require(bool good, const std::string& what, const std::string& where, const std::string& remedy = "") {
  if (!good) throw Error(what, where, remedy);
}

void check_ranges(const GenerateOptions& o) {
  require(o.max_new_tokens >= 0, "is below 0", "max_new_tokens");
  require(o.min_new_tokens >= 0 && o.min_new_tokens <= o.max_new_tokens,
          std::to_string(o.min_new_tokens) + " is not between 0 and max_new_tokens (" +
              std::to_string(o.max_new_tokens) + ")",
          "min_new_tokens");
  require(o.temperature > 0 && std::isfinite(o.temperature), "has to be above 0", "temperature",
          "leave out do_sample for the likeliest tokens");
  require(o.top_k >= 0, "is below 0", "top_k", "0 keeps all tokens");
  require(o.top_p > 0 && o.top_p <= 1, "is not in (0, 1]", "top_p");
  require(o.min_p >= 0 && o.min_p <= 1, "is not in [0, 1]", "min_p");
  require(o.typical_p > 0 && o.typical_p <= 1, "is not in (0, 1]", "typical_p");
  require(o.repetition_penalty > 0, "has to be above 0", "repetition_penalty", "1 changes nothing");
  require(std::abs(o.frequency_penalty) <= 2, "is not in [-2, 2]", "frequency_penalty");
  require(std::abs(o.presence_penalty) <= 2, "is not in [-2, 2]", "presence_penalty");
  require(o.no_repeat_ngram_size >= 0, "is below 0", "no_repeat_ngram_size");
  require(o.num_beams >= 1, "is below 1", "num_beams");
  require(o.num_beam_groups >= 1, "is below 1", "num_beam_groups");
  require(o.num_return_sequences >= 1, "is below 1", "num_return_sequences");
  require(o.penalty_alpha >= 0 && o.penalty_alpha <= 1, "is not in [0, 1]", "penalty_alpha");
  require(o.draft_tokens >= 1, "is below 1", "draft_tokens");
  require(o.prompt_lookup_tokens >= 0, "is below 0", "prompt_lookup_tokens");
  for (const auto& words : o.bad_words_ids) require(!words.empty(), "holds an empty list", "bad_words_ids");
  check_choice(o.early_stopping, {"false", "true", "never"}, "early_stopping");
}

void check_beams(const GenerateOptions& o) {
  if (o.num_beams == 1) {
    require(o.num_beam_groups == 1, "groups are parts of the beams", "num_beam_groups", "give num_beams above 1");
    require(o.early_stopping == "false", "is for beam search", "early_stopping", "give num_beams above 1");
  }
  require(o.num_beams % o.num_beam_groups == 0,
          std::to_string(o.num_beams) + " beams cannot be cut into " + std::to_string(o.num_beam_groups) +
              " groups of one size",
          "num_beam_groups");
  require(o.num_beam_groups > 1 || o.diversity_penalty == 0, "is for groups of beams", "diversity_penalty",
          "give num_beam_groups above 1");
  require(o.diversity_penalty >= 0, "is below 0", "diversity_penalty");
  require(o.num_beam_groups == 1 || !o.do_sample, "groups of beams are not sampled", "num_beam_groups",
          "leave out do_sample");
  if (o.num_beams > 1)
    require(o.num_return_sequences <= o.num_beams,
            std::to_string(o.num_return_sequences) + " sequences cannot come from " + std::to_string(o.num_beams) +
                " beams",
            "num_return_sequences");
  else
    require(o.num_return_sequences == 1 || o.do_sample, "without sampling all would be the same",
            "num_return_sequences", "give do_sample or num_beams");
}

void check_sampling(const GenerateOptions& o) {
  if (o.do_sample) return;
  const std::string remedy = "give do_sample";
  require(o.temperature == 1, "changes nothing without sampling", "temperature", remedy);
  require(o.top_p == 1, "changes nothing without sampling", "top_p", remedy);
  require(o.min_p == 0, "changes nothing without sampling", "min_p", remedy);
  require(o.typical_p == 1, "changes nothing without sampling", "typical_p", remedy);
  require(o.top_k == 0 || o.penalty_alpha > 0, "changes nothing without sampling", "top_k", remedy);
}

void check_contrastive(const GenerateOptions& o) {
  if (o.penalty_alpha == 0) return;
  require(o.top_k >= 2, "contrastive search chooses among at least 2 candidates", "top_k", "give top_k 4 or so");
  require(!o.do_sample, "contrastive search does not sample", "penalty_alpha", "leave out do_sample");
  require(o.num_beams == 1, "contrastive search has no beams", "penalty_alpha", "leave out num_beams");
  require(o.prompt_lookup_tokens == 0, "contrastive search takes no drafts", "penalty_alpha",
          "leave out prompt_lookup_tokens");
}

}  // namespace

void GenerateOptions::check() const {
  check_ranges(*this);
  check_beams(*this);
  check_contrastive(*this);
  check_sampling(*this);
  require(prompt_lookup_tokens == 0 || num_beams == 1, "beams take no drafts", "prompt_lookup_tokens",
          "leave out num_beams");
}

GenerateOptions read_generation_config(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  GenerateOptions o;
  o.max_new_tokens = config.get<int64_t>("max_new_tokens", o.max_new_tokens);
  o.min_new_tokens = config.get<int64_t>("min_new_tokens", 0);
  const Json ends = config.get<Json>("eos_token_id", nullptr);
  if (ends.is_array())
    o.end_ids = config.get<std::vector<int64_t>>("eos_token_id", {});
  else if (!ends.is_null())
    o.end_ids = {config.get<int64_t>("eos_token_id", 0)};
  o.padding_id = std::max<int64_t>(0, config.get<int64_t>("pad_token_id", o.end_ids.empty() ? 0 : o.end_ids.front()));
  o.do_sample = config.get<bool>("do_sample", false);
  o.num_beams = config.get<int64_t>("num_beams", 1);
  o.num_beam_groups = config.get<int64_t>("num_beam_groups", 1);
  o.diversity_penalty = config.get<double>("diversity_penalty", 0);
  o.length_penalty = config.get<double>("length_penalty", 1);
  const Json stopping = config.get<Json>("early_stopping", false);
  o.early_stopping = stopping.is_boolean() ? (stopping.get<bool>() ? "true" : "false") : stopping.get<std::string>();
  if (o.num_beams == 1) o.early_stopping = "false";
  o.repetition_penalty = config.get<double>("repetition_penalty", 1);
  o.no_repeat_ngram_size = config.get<int64_t>("no_repeat_ngram_size", 0);
  o.bad_words_ids = config.get<std::vector<std::vector<int64_t>>>("bad_words_ids", {});
  o.suppress_tokens = config.get<std::vector<int64_t>>("suppress_tokens", {});
  o.begin_suppress_tokens = config.get<std::vector<int64_t>>("begin_suppress_tokens", {});
  o.forced_bos_token_id = config.get<int64_t>("forced_bos_token_id", -1);
  o.forced_eos_token_id = config.get<int64_t>("forced_eos_token_id", -1);
  o.penalty_alpha = config.get<double>("penalty_alpha", 0);
  o.num_return_sequences = config.get<int64_t>("num_return_sequences", 1);
  // What transformers samples with by default; files carry these values without sampling, too.
  const int64_t top_k = config.get<int64_t>("top_k", 50);
  const double temperature = config.get<double>("temperature", 1), top_p = config.get<double>("top_p", 1);
  const double min_p = config.get<double>("min_p", 0), typical_p = config.get<double>("typical_p", 1);
  if (o.do_sample) o.temperature = temperature, o.top_p = top_p, o.min_p = min_p, o.typical_p = typical_p;
  if (o.do_sample || o.penalty_alpha > 0) o.top_k = top_k;
  config.expect("encoder_no_repeat_ngram_size", int64_t{0});
  config.expect("guidance_scale", 1.0);
  config.ignore({"bos_token_id",
                 "decoder_start_token_id",
                 "max_length",
                 "min_length",
                 "use_cache",
                 "trust_remote_code",
                 "chat_format",
                 "max_window_size",
                 "transformers_version",
                 "_from_model_config",
                 "return_dict_in_generate",
                 "output_attentions",
                 "output_hidden_states",
                 "output_scores",
                 "output_logits",
                 "cache_implementation",
                 "remove_invalid_values",
                 "max_time",
                 "renormalize_logits",
                 "low_memory",
                 "is_assistant",
                 "num_assistant_tokens",
                 "num_assistant_tokens_schedule",
                 "assistant_confidence_threshold"});
  config.done();
  return o;
}

}  // namespace tessera

#include "apps/decoding_arguments.h"

#include <algorithm>
#include <map>

namespace tessera::apps {
namespace {

const std::map<std::string, std::string>& help() {
  static const std::map<std::string, std::string> lines = {
      {"max_new_tokens", "At most this many tokens"},
      {"end_ids", "Token ids that end a text"},
      {"padding_id", "Token id that fills up shorter texts of a batch"},
      {"min_new_tokens", "No end before this many tokens"},
      {"do_sample", "Draw tokens instead of taking the likeliest"},
      {"temperature", "Divides the logits; below 1 bolder, above 1 flatter"},
      {"top_k", "Only the k likeliest tokens (contrastive search: how many candidates)"},
      {"top_p", "Only the likeliest tokens with this probability together"},
      {"min_p", "Only tokens with this share of the largest probability"},
      {"typical_p", "Only the most typical tokens with this probability together"},
      {"seed", "What draws begin with; the same seed gives the same text"},
      {"num_return_sequences", "Texts for each prompt"},
      {"repetition_penalty", "Factor against tokens that the text holds"},
      {"frequency_penalty", "Against tokens for each time they were made"},
      {"presence_penalty", "Against tokens that were made"},
      {"no_repeat_ngram_size", "No run of so many tokens comes twice"},
      {"bad_words_ids", "JSON list of lists of token ids that do not come"},
      {"suppress_tokens", "Token ids that never come"},
      {"begin_suppress_tokens", "Token ids that do not come first"},
      {"forced_bos_token_id", "Token id behind the start token of a decoder"},
      {"forced_eos_token_id", "Token id that is the last of the most"},
      {"num_beams", "Beam search with so many beams"},
      {"num_beam_groups", "Groups of beams that are kept apart"},
      {"diversity_penalty", "Against tokens that other groups have just taken"},
      {"length_penalty", "Beam scores are divided by the length to this power"},
      {"early_stopping", "When a beam search ends: true, false or never"},
      {"penalty_alpha", "Contrastive search with this weight against repetition"},
      {"draft_tokens", "Tokens that a draft model proposes at a time"},
      {"prompt_lookup_tokens", "Speculates with so many tokens of where the same words stood before"},
      {"log_probabilities", "Log-probability of each token, with --json"}};
  return lines;
}

/// Adds an option for each field that it is shown.
struct Declare {
  CLI::App& command;
  std::shared_ptr<Json> given;

  template <class T>
  void operator()(const char* name, const T& field) {
    std::string flag = std::string("--") + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    const std::string key = name, text = help().at(key);
    const auto keep = [given = given, key](const auto& value) { (*given)[key] = value; };
    if constexpr (std::is_same_v<T, bool>) {
      command.add_flag_function(
          flag, [keep](int64_t count) { keep(count > 0); }, text);
    } else if constexpr (std::is_same_v<T, std::vector<std::vector<int64_t>>>) {
      command.add_option_function<std::string>(
          flag,
          [keep, flag](const std::string& value) {
            try {
              keep(Json::parse(value));
            } catch (const Json::exception&) {
              throw CLI::ValidationError(flag, "is no JSON");
            }
          },
          text);
    } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
      command.add_option_function<T>(flag, keep, text + ": 3,4,5")->delimiter(',')->allow_extra_args(false);
    } else {
      const std::string otherwise = Json(field).dump();
      command.add_option_function<T>(flag, keep, text + " (default: the model's, else " + otherwise + ")");
    }
  }
};

}  // namespace

void DecodingArguments::declare(CLI::App& command) {
  const GenerateOptions defaults;
  Declare declare{command, given_};
  visit_options(defaults, declare);
}

GenerateOptions DecodingArguments::over(GenerateOptions defaults) const {
  const GenerateOptions plain;
  if (given_->contains("do_sample") && !given_->at("do_sample").get<bool>()) {
    defaults.temperature = plain.temperature, defaults.top_p = plain.top_p, defaults.min_p = plain.min_p;
    defaults.typical_p = plain.typical_p;
    if (defaults.penalty_alpha == 0) defaults.top_k = plain.top_k;
  }
  Json all = write_options(defaults);
  all.update(*given_);
  return read_options<GenerateOptions>(all, "options");
}

}  // namespace tessera::apps

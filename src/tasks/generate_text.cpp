#include "tasks/generate_text.h"

#include <algorithm>

#include "core/memory_limit.h"
#include "core/random.h"
#include "decode/json_schema.h"
#include "decode/regular_expression.h"
#include "decode/text_stream.h"
#include "language/encoder_decoder.h"
#include "layers/device.h"
#include "tasks/embed.h"

namespace tessera {
namespace {

std::vector<int64_t> end_ids_of(const Model& model) {
  if (model.config.contains("eos_token_id")) {
    const Json& end = model.config["eos_token_id"];
    if (end.is_array()) return end.get<std::vector<int64_t>>();
    if (end.is_number_integer()) return {end.get<int64_t>()};
  }
  if (model.tokenizer && model.tokenizer->special_ids().eos) return {*model.tokenizer->special_ids().eos};
  return {};
}

Tensor matrix(const std::vector<int64_t>& numbers, int64_t rows, int64_t columns) {
  return torch::tensor(numbers, torch::kInt64).view({rows, columns});
}

/// The text of the tokens without the end token and without what begins a stop string.
std::string text_of(const Generated& made, TextStream stream, const std::vector<int64_t>& ends) {
  std::string text;
  for (const int64_t id : made.ids)
    if (std::find(ends.begin(), ends.end(), id) == ends.end()) text += stream.push(id);
  return text + stream.finish();
}

}  // namespace

GenerateOptions default_decoding(const Model& model) {
  GenerateOptions options;
  const auto file = model.folder / "generation_config.json";
  if (!model.generation.is_null()) options = read_generation_config(model.generation, file.string());
  if (options.end_ids.empty()) {
    options.end_ids = end_ids_of(model);
    if (!options.end_ids.empty()) options.padding_id = options.end_ids.front();
  }
  return options;
}

TextGenerator::TextGenerator(const Model& model, std::optional<Model> draft)
    : model_(model), draft_(std::move(draft)), language_(model_.as<LanguageModel>("generate text")) {
  tokenizer_of(model_);
  if (draft_) draft_->as<LanguageModel>("be a draft");
}

std::shared_ptr<Constraint> TextGenerator::constraint_of(const TextGenerateOptions& options) const {
  if (options.expression.empty() && !options.schema) return nullptr;
  if (!options.expression.empty() && options.schema)
    throw Error("a text cannot be held to a schema and a regular expression at once", "constraint", "give one of them");
  const auto bytes = std::make_shared<TokenBytes>(*model_.tokenizer);
  return options.schema ? grammar_constraint(schema_grammar(*options.schema), bytes, "schema")
                        : grammar_constraint(expression_grammar(options.expression), bytes, "regular expression");
}

TextGenerator::Start TextGenerator::start(std::span<const std::string> prompts,
                                          const TextGenerateOptions& options) const {
  for (const std::string& prompt : prompts)
    if (prompt.empty()) throw Error("an empty prompt says nothing", "prompt", "give a text");
  BatchOptions batch;
  if (options.truncate && language_.context() > 0)
    batch.truncation = Truncation{
        .max_length = std::max<int64_t>(1, language_.context() - options.decode.max_new_tokens), .left = true};
  const TokenBatch encoded = model_.tokenizer->encode_batch({prompts.begin(), prompts.end()}, batch);
  const TextBatch text{matrix(encoded.ids, encoded.rows, encoded.length),
                       matrix(encoded.attention_mask, encoded.rows, encoded.length).to(torch::kBool),
                       {}};
  Start start;
  if (auto* reader = dynamic_cast<EncoderDecoder*>(&language_)) {
    const torch::NoGradGuard no_gradient;
    start.state = reader->start(reader->encode(moved(text, device_of(language_))));
    const Tensor first = torch::full({encoded.rows, 1}, reader->start_id(), torch::kInt64);
    start.prompt = text_prompt(language_, {first, {}, {}});
    start.before.resize(prompts.size());
  } else {
    start.state = language_.start();
    start.prompt = text_prompt(language_, text);
    start.before = start.prompt.ids;
  }
  const CacheStorage storage = cache_storage(options.cache, "cache");
  if (storage != CacheStorage::kAsGiven) start.state.store(storage);
  return start;
}

void TextGenerator::generate_batch(std::span<const std::string> prompts, size_t first,
                                   const TextGenerateOptions& options, const std::shared_ptr<Constraint>& constraint,
                                   const TextHooks& hooks) {
  Start begin = start(prompts, options);
  const auto count = static_cast<size_t>(options.decode.num_return_sequences);
  const auto stream_of = [&](size_t row) { return TextStream(*model_.tokenizer, options.stop, begin.before[row]); };
  const auto is_end = [&](int64_t id) {
    return std::find(options.decode.end_ids.begin(), options.decode.end_ids.end(), id) != options.decode.end_ids.end();
  };
  GenerateHooks decoding{.interrupted = hooks.interrupted, .constraint = constraint};
  if (draft_) decoding.draft = &draft_->as<LanguageModel>("be a draft");
  for (size_t row = 0; row < prompts.size(); ++row)
    decoding.seeds.push_back(
        static_cast<int64_t>(mix_seed(static_cast<uint64_t>(options.decode.seed), static_cast<uint64_t>(first + row))));
  if (!options.stop.empty())
    decoding.watcher = [&](int64_t row) {
      const bool copies = options.decode.num_beams == 1;  // a beam search names the prompt
      return std::make_unique<StopStrings>(stream_of(static_cast<size_t>(row) / (copies ? count : 1)));
    };
  std::vector<TextStream> streams;
  const bool streams_text = hooks.on_text && count == 1 && options.decode.num_beams == 1;
  if (streams_text) {
    for (size_t row = 0; row < prompts.size(); ++row) streams.push_back(stream_of(row));
    decoding.on_token = [&](int64_t row, int64_t id, double) {
      if (is_end(id)) return;
      const std::string piece = streams[static_cast<size_t>(row)].push(id);
      if (!piece.empty()) hooks.on_text(first + static_cast<size_t>(row), piece);
    };
  }
  const auto made = decode(language_, begin.prompt, begin.state, options.decode, decoding);
  for (size_t row = 0; row < streams.size(); ++row)
    if (const std::string rest = streams[row].finish(); !rest.empty()) hooks.on_text(first + row, rest);
  for (size_t i = 0; hooks.on_made && i < made.size(); ++i)
    hooks.on_made({first + i / count, text_of(made[i], stream_of(i / count), options.decode.end_ids), made[i]});
}

void TextGenerator::generate(std::span<const std::string> prompts, const TextGenerateOptions& options,
                             const TextHooks& hooks) {
  const auto constraint = constraint_of(options);
  const bool speculates = draft_ || options.decode.prompt_lookup_tokens > 0;
  const size_t batch = speculates ? 1 : static_cast<size_t>(std::max<int64_t>(1, options.batch));
  FittingBatches fitting;
  for (size_t first = 0; first < prompts.size(); first += batch) {
    if (hooks.interrupted && hooks.interrupted()) return;
    const auto part = prompts.subspan(first, std::min(batch, prompts.size() - first));
    fitting.run(part.size(), [&](size_t begin, size_t count) {
      generate_batch(part.subspan(begin, count), first + begin, options, constraint, hooks);
    });
  }
}

}  // namespace tessera

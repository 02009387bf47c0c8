#include <fstream>
#include <mutex>

#include "core/error.h"
#include "text/sentencepiece_library.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace tessera {
namespace {

std::map<std::string, std::string> arguments(const SentencePieceOptions& options) {
  std::map<std::string, std::string> all = {
      {"vocab_size", std::to_string(options.vocab_size)},
      {"model_type", options.model},
      {"byte_fallback", options.byte_fallback ? "true" : "false"},
      {"character_coverage", std::to_string(options.character_coverage)},
      {"normalization_rule_name", options.normalization},
      {"input_sentence_size", std::to_string(options.max_sentences)},
      {"unk_id", std::to_string(options.unk)},
      {"bos_id", std::to_string(options.bos)},
      {"eos_id", std::to_string(options.eos)},
      {"pad_id", std::to_string(options.pad)},
      // Sums of probabilities depend on how the text is shared out among threads, and so would the model.
      {"num_threads", "1"},
      {"minloglevel", "2"},
  };
  std::string symbols;
  for (const std::string& symbol : options.user_symbols) {
    if (symbol.find(',') != std::string::npos)
      throw Error("user symbol with a comma: '" + symbol + "'", "train_sentencepiece");
    symbols += (symbols.empty() ? "" : ",") + symbol;
  }
  if (!symbols.empty()) all["user_defined_symbols"] = symbols;
  return all;
}

}  // namespace

std::string train_sentencepiece(const std::vector<std::string>& sentences, const SentencePieceOptions& options) {
  if (options.model != "unigram" && options.model != "bpe") {
    throw Error("unknown model '" + options.model + "'", "train_sentencepiece", "use unigram or bpe");
  }
  if (sentences.empty()) throw Error("there is no text to train on", "train_sentencepiece");
  static std::mutex one_at_a_time;  // the library's seed is global
  const std::lock_guard lock(one_at_a_time);
  std::string model;
  const std::string error = text::sentencepiece_library().train(arguments(options), sentences, options.seed, model);
  if (!error.empty()) throw Error(error, "train_sentencepiece", "give more text or ask for a smaller vocabulary");
  return model;
}

std::string train_sentencepiece(const std::filesystem::path& corpus, const SentencePieceOptions& options) {
  std::ifstream file(corpus, std::ios::binary);
  if (!file) throw Error("cannot read the file", corpus.string());
  std::vector<std::string> sentences;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) sentences.push_back(text::to_valid_utf8(line));
  }
  return train_sentencepiece(sentences, options);
}

}  // namespace tessera

#include "train/tokenizer_recipe.h"

#include <sstream>

#include "core/error.h"
#include "core/files.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const std::string& path) {
  std::istringstream in(read_file(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) lines.push_back(line);
  return lines;
}

std::vector<std::string> captions_of(const Recipe& recipe, const std::vector<Concept>& concepts) {
  std::vector<std::string> captions;
  for (const auto& [language, weight] : recipe.captions.languages) {
    for (const auto& item : concepts) {
      if (const auto name = item.names.find(language); name != item.names.end()) captions.push_back(name->second);
      const auto words = item.keywords.find(language);
      if (words != item.keywords.end()) captions.insert(captions.end(), words->second.begin(), words->second.end());
    }
  }
  return captions;
}

void train_tokenizer(const Recipe& recipe, const std::vector<Concept>& concepts, const fs::path& folder) {
  SentencePieceOptions options;
  options.vocab_size = recipe.tokenizer.vocabulary;
  options.model = recipe.tokenizer.model;
  options.byte_fallback = recipe.tokenizer.byte_fallback;
  options.normalization = "nmt_nfkc_cf";  // captions differ in case from style to style, and so do questions
  options.pad = 3;
  options.seed = static_cast<uint32_t>(recipe.seed);
  const std::string& corpus = recipe.tokenizer.corpus;
  const std::string model =
      train_sentencepiece(corpus.empty() ? captions_of(recipe, concepts) : lines_of(corpus), options);
  const Json config = {{"add_bos_token", false}, {"add_eos_token", true}, {"tokenizer_class", "SentencePiece"},
                       {"unk_token", "<unk>"},   {"bos_token", "<s>"},    {"eos_token", "</s>"},
                       {"pad_token", "<pad>"}};
  write_file(folder / "tokenizer_config.json", config.dump(2) + "\n");
  write_file(folder / "tokenizer.model", model);  // last: its presence says that the folder is complete
}

bool holds_tokenizer(const fs::path& folder) {
  for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt"})
    if (fs::exists(folder / name)) return true;
  return false;
}

}  // namespace

Tokenizer provide_tokenizer(const Recipe& recipe, const std::vector<Concept>& concepts, const fs::path& folder) {
  if (!holds_tokenizer(folder)) {
    fs::create_directories(folder);
    if (recipe.tokenizer.path.empty())
      train_tokenizer(recipe, concepts, folder);
    else
      load_tokenizer(recipe.tokenizer.path).save(folder);
  }
  return load_tokenizer(folder);
}

Tokenize tokenize_with(const Tokenizer& tokenizer) {
  return [tokenizer](const std::string& text) { return tokenizer.encode(text).ids; };
}

}  // namespace tessera

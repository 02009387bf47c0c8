#include <gtest/gtest.h>

#include "core/error.h"
#include "examples.h"
#include "goldens.h"
#include "support/scratch.h"
#include "text/tokenizer.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using testing::Json;
using Strings = std::vector<std::string>;
using Ids = std::vector<int64_t>;

void write(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// vocab.json and merges.txt of a recorded tokenizer.json.
void write_byte_level_folder(const fs::path& golden, const fs::path& folder) {
  const Json document = Json::parse(testing::read_bytes(golden / "tokenizer.json"));
  Json vocab = document["model"]["vocab"];
  for (const auto& token : document["added_tokens"]) vocab[token["content"].get<std::string>()] = token["id"];
  std::string merges = "#version: 0.2\n";
  for (const auto& merge : document["model"]["merges"]) {
    merges += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
  }
  write(folder / "vocab.json", vocab.dump());
  write(folder / "merges.txt", merges);
}

TEST(TokenizerFolders, OlderByteLevelLayoutGivesTheSameIds) {
  for (const char* name : {"gpt2", "roberta", "clip"}) {
    const fs::path golden = testing::tokenizer_golden(name);
    if (golden.empty()) GTEST_SKIP() << "no recorded tokenizers beside the sources";
    const testing::Scratch scratch;
    const fs::path& folder = scratch.path();
    write_byte_level_folder(golden, folder);
    const Tokenizer tokenizer = load_tokenizer(folder);
    for (const auto& want : testing::read_cases(golden, "single")) {
      SCOPED_TRACE(name + want["text"].dump());
      EXPECT_EQ(tokenizer.encode(want["text"].get<std::string>()).ids, want["ids"].get<Ids>());
    }
  }
}

TEST(TokenizerFolders, OlderBertLayoutGivesTheSameIds) {
  for (const std::string name : {"bert-cased", "bert-uncased"}) {
    const fs::path golden = testing::tokenizer_golden(name);
    if (golden.empty()) GTEST_SKIP() << "no recorded tokenizers beside the sources";
    const testing::Scratch scratch;
    const fs::path& folder = scratch.path();
    const Json document = Json::parse(testing::read_bytes(golden / "tokenizer.json"));
    Strings tokens(document["model"]["vocab"].size());
    for (const auto& [token, id] : document["model"]["vocab"].items()) tokens[id.get<size_t>()] = token;
    std::string vocab;
    for (const std::string& token : tokens) vocab += token + "\n";
    write(folder / "vocab.txt", vocab);
    write(folder / "tokenizer_config.json", Json{{"do_lower_case", name == "bert-uncased"}}.dump());
    const Tokenizer tokenizer = load_tokenizer(folder);
    for (const auto& want : testing::read_cases(golden, "single")) {
      SCOPED_TRACE(name + want["text"].dump());
      const Encoding got = tokenizer.encode(want["text"].get<std::string>());
      EXPECT_EQ(got.ids, want["ids"].get<Ids>());
      EXPECT_EQ(tokenizer.decode(got.ids), want["decoded_skip_special"]);
    }
    EXPECT_EQ(tokenizer.special_ids().cls, 2);
  }
}

TEST(TokenizerFolders, ConfigurationOfASentencePieceFolderIsHonoured) {
  const fs::path golden = testing::tokenizer_golden("llama");
  if (golden.empty()) GTEST_SKIP() << "no recorded tokenizers beside the sources";
  const testing::Scratch scratch;
  const fs::path& folder = scratch.path();
  write(folder / "tokenizer.model", testing::read_bytes(golden / "tokenizer.model"));
  write(folder / "tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>"})");
  write(folder / "added_tokens.json", R"({"<image>": 4000})");
  const Tokenizer tokenizer = load_tokenizer(folder);
  for (const auto& want : testing::read_cases(golden, "pair")) {
    const Encoding got = tokenizer.encode_pair(want["text"].get<std::string>(), want["pair"].get<std::string>());
    EXPECT_EQ(got.ids, want["ids"].get<Ids>());
    EXPECT_EQ(got.type_ids, want["type_ids"].get<Ids>());
  }
  const Encoding got = tokenizer.encode("see <image>");
  EXPECT_EQ(got.ids.back(), 4000);
  EXPECT_EQ(got.offsets.back(), (TextSpan{4, 11}));
  EXPECT_EQ(tokenizer.vocab_size(), 4001);
  EXPECT_EQ(tokenizer.decode(got.ids), "see <image>");
  tokenizer.save(folder / "saved");
  for (const char* name : {"tokenizer.model", "tokenizer_config.json", "added_tokens.json"}) {
    EXPECT_EQ(testing::read_bytes(folder / "saved" / name), testing::read_bytes(folder / name));
  }
}

TEST(TokenizerFolders, RolesOfSpecialTokensComeFromTheConfiguration) {
  const testing::Scratch scratch;
  const fs::path& folder = scratch.path();
  write(folder / "tokenizer.json", testing::byte_level_json().dump());
  write(folder / "tokenizer_config.json", R"({"eos_token": {"content": "<|end|>"}})");
  write(folder / "special_tokens_map.json", R"({"pad_token": "!", "eos_token": "?"})");
  const Tokenizer tokenizer = load_tokenizer(folder);
  EXPECT_EQ(tokenizer.special_ids().eos, 400);
  EXPECT_EQ(tokenizer.special_ids().pad, tokenizer.token_to_id("!"));
  EXPECT_EQ(tokenizer.special_ids().bos, std::nullopt);
}

}  // namespace
}  // namespace tessera

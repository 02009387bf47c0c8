#include <fstream>
#include <sstream>

#include "core/error.h"
#include "text/tokenizer_parts.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Parts = std::shared_ptr<TokenizerParts>;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  if (file) bytes << file.rdbuf();
  if (!file || file.bad()) throw Error("cannot read the file", path.string());
  return std::move(bytes).str();
}

// One of the small files beside a tokenizer, kept for `save`; null where it is not there.
Json read_companion(const fs::path& folder, const char* name, std::vector<std::pair<std::string, std::string>>& files) {
  const fs::path path = folder / name;
  if (!fs::is_regular_file(path)) return nullptr;
  files.emplace_back(name, read_file(path));
  return text::parse_json(files.back().second, path.string());
}

// What a tokenizer class adds when its configuration does not say: LLaMA begins its texts, T5 ends them.
bool class_default(const Json& config, const char* key) {
  const std::string name =
      config.contains("tokenizer_class") && config["tokenizer_class"].is_string() ? config["tokenizer_class"] : "";
  const auto is = [&](const char* family) { return name.starts_with(family); };
  if (std::string_view(key) == "add_bos_token") return is("Llama") || is("CodeLlama") || is("Gemma");
  return is("T5");
}

bool wants(const Json& config, const char* key) {
  if (!config.is_object()) return false;
  return config.contains(key) && config[key].is_boolean() ? config[key].get<bool>() : class_default(config, key);
}

// A SentencePiece model does not say which tokens go around a text; tokenizer_config.json does.
void add_template(TokenizerParts& parts, const Json& config, const std::string& file) {
  Json special = Json::object(), single = Json::array(), pair = Json::array();
  const auto use = [&](const std::optional<int64_t>& id, const char* key) -> std::optional<std::string> {
    if (!wants(config, key)) return std::nullopt;
    if (!id) throw Error(std::string(key) + " is set, but there is no such token", file);
    const std::string token = parts.token(*id).value_or("");
    special[token] = {{"id", token}, {"ids", {*id}}, {"tokens", {token}}};
    return token;
  };
  const auto bos = use(parts.special.bos, "add_bos_token"), eos = use(parts.special.eos, "add_eos_token");
  if (!bos && !eos) return;
  const auto push = [&](Json& pieces, const char* sequence, int type_id) {
    if (bos) pieces.push_back({{"SpecialToken", {{"id", *bos}, {"type_id", type_id}}}});
    pieces.push_back({{"Sequence", {{"id", sequence}, {"type_id", type_id}}}});
    if (eos) pieces.push_back({{"SpecialToken", {{"id", *eos}, {"type_id", type_id}}}});
  };
  push(single, "A", 0);
  push(pair, "A", 0);
  push(pair, "B", bos ? 1 : 0);
  const Json document = {
      {"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
  parts.post_processor = text::make_post_processor(text::JsonNode(document, file));
}

void add_token(TokenizerParts& parts, const std::string& content, int64_t id, const Json& flags,
               const std::string& file) {
  if (id < 0 || id >= (int64_t{1} << 24)) throw Error("id of added token '" + content + "' is out of range", file);
  const auto flag = [&](const char* key, bool fallback) {
    return flags.is_object() && flags.contains(key) && flags[key].is_boolean() ? flags[key].get<bool>() : fallback;
  };
  const bool special = flag("special", false);
  parts.added.add({id, content, flag("single_word", false), flag("lstrip", false), flag("rstrip", false),
                   flag("normalized", false), special});
}

// Tokens beyond the vocabulary file: added_tokens.json maps them to ids, tokenizer_config.json gives their properties.
void add_extra_tokens(TokenizerParts& parts, const Json& config, const Json& added, const std::string& file) {
  if (added.is_object()) {
    for (const auto& [content, id] : added.items()) {
      if (!id.is_number_integer()) throw Error("id of '" + content + "' is no integer", "added_tokens.json");
      add_token(parts, content, id.get<int64_t>(), nullptr, file);
    }
  }
  if (config.is_object() && config.contains("added_tokens_decoder")) {
    const text::JsonNode decoder(config["added_tokens_decoder"], file, "added_tokens_decoder");
    for (const auto& [id, flags] : decoder.value().items()) {
      if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != std::string::npos) {
        decoder.fail("'" + id + "' is no token id");
      }
      add_token(parts, decoder.at(id).at("content").string(), std::stoll(id), flags, file);
    }
  }
  parts.added.finish(parts.normalizer.get());
}

struct Companions {
  std::vector<std::pair<std::string, std::string>> files;
  Json config, added;
  std::string where;

  explicit Companions(const fs::path& folder) : where((folder / "tokenizer_config.json").string()) {
    config = read_companion(folder, "tokenizer_config.json", files);
    const Json map = read_companion(folder, "special_tokens_map.json", files);
    added = read_companion(folder, "added_tokens.json", files);
    if (!map.is_object()) return;
    if (!config.is_object()) config = Json::object();
    for (const auto& [key, value] : map.items()) {
      if (!config.contains(key)) config[key] = value;
    }
  }
};

Tokenizer finish(Parts parts, Companions companions, std::vector<std::pair<std::string, std::string>> own) {
  text::find_special_ids(*parts, companions.config);
  parts->files = std::move(own);
  for (auto& file : companions.files) parts->files.push_back(std::move(file));
  return Tokenizer(std::move(parts));
}

Tokenizer load_json(const fs::path& path) {
  std::string bytes = read_file(path);
  Parts parts = text::build_tokenizer(text::parse_json(bytes, path.string()), path.string());
  return finish(std::move(parts), Companions(path.parent_path()), {{path.filename().string(), std::move(bytes)}});
}

Tokenizer load_sentencepiece(const fs::path& path) {
  std::string bytes = read_file(path);
  Parts parts = text::build_sentencepiece(bytes, path.string());
  Companions companions(path.parent_path());
  add_extra_tokens(*parts, companions.config, companions.added, companions.where);
  text::find_special_ids(*parts, companions.config);
  add_template(*parts, companions.config, companions.where);
  return finish(std::move(parts), std::move(companions), {{path.filename().string(), std::move(bytes)}});
}

Tokenizer load_bert(const fs::path& path) {
  std::string bytes = read_file(path);
  Companions companions(path.parent_path());
  Parts parts = text::build_tokenizer(text::bert_document(bytes, companions.config), path.string());
  add_extra_tokens(*parts, companions.config, companions.added, companions.where);
  return finish(std::move(parts), std::move(companions), {{path.filename().string(), std::move(bytes)}});
}

Tokenizer load_byte_level(const fs::path& vocab, const fs::path& merges) {
  std::string vocab_bytes = read_file(vocab), merge_bytes = read_file(merges);
  Companions companions(vocab.parent_path());
  const Json tokens = text::parse_json(vocab_bytes, vocab.string());
  if (!tokens.is_object()) throw Error("expected an object of tokens and ids", vocab.string());
  Parts parts =
      text::build_tokenizer(text::byte_level_document(tokens, merge_bytes, companions.config), vocab.string());
  add_extra_tokens(*parts, companions.config, companions.added, companions.where);
  return finish(std::move(parts), std::move(companions),
                {{"vocab.json", std::move(vocab_bytes)}, {"merges.txt", std::move(merge_bytes)}});
}

Tokenizer load_file(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name == "vocab.json" || name == "merges.txt") {
    return load_byte_level(path.parent_path() / "vocab.json", path.parent_path() / "merges.txt");
  }
  if (path.extension() == ".json") return load_json(path);
  if (path.extension() == ".model") return load_sentencepiece(path);
  if (path.extension() == ".txt") return load_bert(path);
  throw Error("unknown kind of tokenizer file", path.string(), "give a .json, .model or .txt file, or a folder");
}

}  // namespace

Tokenizer load_tokenizer(const fs::path& folder_or_file) {
  if (!fs::exists(folder_or_file)) throw Error("no such file or folder", folder_or_file.string());
  if (!fs::is_directory(folder_or_file)) return load_file(folder_or_file);
  for (const char* name :
       {"tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "vocab.json"}) {
    if (fs::is_regular_file(folder_or_file / name)) return load_file(folder_or_file / name);
  }
  throw Error("no tokenizer in this folder", folder_or_file.string(),
              "it must hold tokenizer.json, tokenizer.model, vocab.txt, or vocab.json and merges.txt");
}

}  // namespace tessera

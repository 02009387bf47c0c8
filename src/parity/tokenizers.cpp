#include "core/files.h"
#include "parity/golden.h"
#include "text/tokenizer.h"

namespace tessera::parity {
namespace {

using Ids = std::vector<int64_t>;

/// Compares one recorded text with what the tokenizer makes of it; only the fields that the record has.
class TextCheck {
 public:
  TextCheck(const Tokenizer& tokenizer, const Json& record, std::vector<std::string>& differences)
      : tokenizer_(tokenizer), record_(record), differences_(differences) {}

  void single() {
    const std::string text = record_.at("text");
    const Encoding all = tokenizer_.encode(text);
    expect("ids", all.ids);
    expect("tokens", all.tokens);
    expect("type_ids", all.type_ids);
    expect("ids_without_special", tokenizer_.encode(text, false).ids);
    if (!record_.contains("ids")) return;
    const auto ids = record_.at("ids").get<Ids>();
    expect("decoded", tokenizer_.decode(ids, !record_.contains("decoded_skip_special")));
    expect("decoded_skip_special", tokenizer_.decode(ids, true));
  }

  void pair() {
    const Encoding all =
        tokenizer_.encode_pair(record_.at("text").get<std::string>(), record_.at("pair").get<std::string>());
    expect("ids", all.ids);
    expect("type_ids", all.type_ids);
  }

 private:
  template <class T>
  void expect(const char* field, const T& got) {
    if (!record_.contains(field) || record_.at(field) == Json(got)) return;
    differences_.push_back(record_.at("text").dump() + ": " + field + " " + Json(got).dump() + ", recorded " +
                           record_.at(field).dump());
  }

  const Tokenizer& tokenizer_;
  const Json& record_;
  std::vector<std::string>& differences_;
};

void check_file(const std::filesystem::path& file, const Json& records, std::vector<std::string>& differences) {
  const Tokenizer tokenizer = load_tokenizer(file);
  for (const Json& record : records.value("single", Json::array())) TextCheck(tokenizer, record, differences).single();
  for (const Json& record : records.value("pair", Json::array())) TextCheck(tokenizer, record, differences).pair();
}

/// tokenizer.json, or the SentencePiece model where that is all there is. (That both give the same ids where a folder
/// has both is a test of the tokenizers.)
System tokenizers(const Golden& golden) {
  System system;
  system.check = [folder = golden.folder](const Case& item) {
    std::vector<std::string> differences;
    const bool json = std::filesystem::exists(folder / "tokenizer.json");
    check_file(folder / (json ? "tokenizer.json" : "tokenizer.model"), read_json(folder / item.file), differences);
    return differences;
  };
  return system;
}

const AdapterRegistration registration("tokenizers", tokenizers);

}  // namespace
}  // namespace tessera::parity

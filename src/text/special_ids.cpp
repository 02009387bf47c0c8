#include <algorithm>

#include "text/tokenizer_parts.h"

namespace tessera::text {
namespace {

struct Role {
  const char* key;  // in tokenizer_config.json
  std::optional<int64_t> SpecialIds::*id;
  std::vector<const char*> spellings;  // the usual ones, best first
};

const std::vector<Role>& roles() {
  static const std::vector<Role> kRoles = {
      {"bos_token", &SpecialIds::bos, {"<s>", "<|startoftext|>", "<|begin_of_text|>", "<bos>", "[BOS]"}},
      {"eos_token",
       &SpecialIds::eos,
       {"</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "[EOS]", "<|eot_id|>", "<|im_end|>"}},
      {"unk_token", &SpecialIds::unk, {"<unk>", "[UNK]"}},
      {"pad_token", &SpecialIds::pad, {"<pad>", "[PAD]", "<|pad|>", "<|finetune_right_pad_id|>"}},
      {"sep_token", &SpecialIds::sep, {"[SEP]"}},
      {"cls_token", &SpecialIds::cls, {"[CLS]"}},
      {"mask_token", &SpecialIds::mask, {"[MASK]", "<mask>"}},
  };
  return kRoles;
}

// A token stands in a config as a string or as an object with its content.
std::optional<std::string> spelled(const nlohmann::json& config, const char* key) {
  if (!config.is_object() || !config.contains(key)) return std::nullopt;
  const auto& value = config[key];
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    return value["content"].get<std::string>();
  }
  return std::nullopt;
}

}  // namespace

void find_special_ids(TokenizerParts& parts, const nlohmann::json& config) {
  for (const Role& role : roles()) {
    std::optional<int64_t>& id = parts.special.*role.id;
    if (const auto token = spelled(config, role.key)) id = parts.find(*token);
    for (auto spelling = role.spellings.begin(); !id && spelling != role.spellings.end(); ++spelling) {
      id = parts.find(*spelling);
    }
  }
  parts.special.all.clear();
  for (const std::string& token : parts.added.special()) {
    if (const auto id = parts.find(token)) parts.special.all.push_back(*id);
  }
  std::sort(parts.special.all.begin(), parts.special.all.end());
}

}  // namespace tessera::text

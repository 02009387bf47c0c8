#include "data/symbols.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/codepoints.h"
#include "data/package.h"

namespace tessera {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

const char* const kShortcodes[] = {"emojibase", "joypixels", "iamcal", "github"};

/// The names of emojibase's numbered groups and subgroups.
struct GroupNames {
  Json groups, subgroups;
  static std::string at(const Json& names, const Json& entry, const char* key) {
    return entry.contains(key) ? names.value(std::to_string(entry.at(key).get<int>()), "") : "";
  }
};

Symbol make_symbol(const Json& entry, const Symbol* base, const GroupNames& names) {
  Symbol symbol;
  symbol.id = symbol_id(entry.at("hexcode").get<std::string>());
  symbol.character = entry.value("emoji", symbol_text(symbol.id));
  symbol.group = GroupNames::at(names.groups, entry, "group");
  symbol.subgroup = GroupNames::at(names.subgroups, entry, "subgroup");
  symbol.skin_tone = base != nullptr;
  // A variant stays on the side of its base, or an unseen symbol would be learnt from its skin tones.
  symbol.seen = !is_unseen(base ? base->id : symbol.id);
  return symbol;
}

/// Adds the words of `list` that are not there yet.
void add_words(std::vector<std::string>& words, const Json& list) {
  for (const Json& word : list) {
    const auto text = word.get<std::string>();
    if (std::find(words.begin(), words.end(), text) == words.end()) words.push_back(text);
  }
}

std::string remove_word(std::vector<std::string>& words, const std::string& word) {
  std::erase(words, word);
  return word;
}

/// One language of one of the two CLDR packages, which differ only in the name of their outer key and folder.
void read_annotations(const Package& package, const std::string& folder, const std::string& language,
                      std::map<std::string, Symbol>& symbols) {
  const Json json = package.json(folder + "/" + language + "/annotations.json");
  for (const auto& [text, entry] : json.at(folder).at("annotations").items()) {
    const auto found = symbols.find(symbol_id_of_text(text));
    if (found == symbols.end()) continue;  // a character that is no emoji
    Symbol& symbol = found->second;
    std::vector<std::string>& keywords = symbol.keywords[language];
    if (entry.contains("default")) add_words(keywords, entry.at("default"));
    if (entry.contains("tts")) symbol.names[language] = remove_word(keywords, entry.at("tts").at(0).get<std::string>());
    if (keywords.empty()) symbol.keywords.erase(language);
  }
}

}  // namespace

std::string bare_name(std::string_view words) {
  std::string bare;
  for (const char letter : words) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '&') {
      bare += "and";
    } else if (byte >= 0x80 || std::isalnum(byte)) {
      bare += static_cast<char>(byte < 0x80 ? std::tolower(byte) : byte);
    }
  }
  return bare;
}

SymbolTable::SymbolTable(const fs::path& raw, const std::vector<std::string>& languages) {
  std::vector<std::string> wanted = languages;
  if (std::find(wanted.begin(), wanted.end(), "en") == wanted.end()) wanted.push_back("en");
  try {
    read_emojibase(raw);
    read_cldr(raw, wanted);
  } catch (const Json::exception& error) {
    throw Error(std::string("has an unexpected form: ") + error.what(), raw.string(),
                "fetch the versions of scripts/data-packages.tsv");
  }
  index_names();
}

const Symbol* SymbolTable::find(const std::string& id) const {
  const auto found = symbols_.find(id);
  return found == symbols_.end() ? nullptr : &found->second;
}

std::string SymbolTable::find_name(std::string_view words) const {
  const std::string bare = bare_name(words);
  const auto known = [&](const std::string& name) {
    const auto found = spelled_.find(name);
    return found == spelled_.end() ? std::string() : found->second;
  };
  if (const std::string id = known(bare); !id.empty()) return id;
  // EmojiOne and its heirs say "flag for Austria", or "flag for flag Austria", or "flag for black flag".
  for (const std::string prefix : {"flagforflag", "flagfor"}) {
    if (!bare.starts_with(prefix)) continue;
    const std::string rest = bare.substr(prefix.size());
    const std::string id = known("flag" + rest);
    return id.empty() ? known(rest) : id;
  }
  return "";
}

void SymbolTable::add_name(std::string_view words, const std::string& id) {
  const std::string bare = bare_name(words);
  if (!bare.empty() && find_name(bare).empty()) spelled_.emplace(bare, id);
}

void SymbolTable::read_emojibase(const fs::path& raw) {
  const Package package(find_tarball(raw, "emojibase-data"), [](const std::string& member) {
    return member == "en/data.json" || member == "meta/groups.json" || member == "meta/unicode-names.json" ||
           (member.starts_with("en/shortcodes/") && member.ends_with(".json"));
  });
  const Json groups = package.json("meta/groups.json");
  const GroupNames names{groups.at("groups"), groups.at("subgroups")};
  const auto add = [&](const Json& entry, const Symbol* base) {
    Symbol symbol = make_symbol(entry, base, names);
    other_spellings_.emplace_back(entry.at("label").get<std::string>(), symbol.id);
    if (entry.contains("tags")) add_words(symbol.keywords["en"], entry.at("tags"));
    return symbols_.insert_or_assign(symbol.id, std::move(symbol)).first->second;
  };
  for (const Json& entry : package.json("en/data.json")) {
    const Symbol base = add(entry, nullptr);
    if (entry.contains("skins"))
      for (const Json& skin : entry.at("skins")) add(skin, &base);
  }
  const Json unicode = package.json("meta/unicode-names.json");
  for (const auto& [hex, name] : unicode.items())
    if (name.is_string()) other_spellings_.emplace_back(name.get<std::string>(), symbol_id(hex));
  for (const char* set : kShortcodes) {
    const std::string member = std::string("en/shortcodes/") + set + ".json";
    if (!package.has(member)) continue;
    const Json shortcodes = package.json(member);
    for (const auto& [hex, codes] : shortcodes.items())
      for (const Json& code : codes.is_array() ? codes : Json::array({codes}))
        other_spellings_.emplace_back(code.get<std::string>(), symbol_id(hex));
  }
}

void SymbolTable::read_cldr(const fs::path& raw, const std::vector<std::string>& languages) {
  const std::pair<const char*, const char*> packages[] = {{"cldr-annotations-full", "annotations"},
                                                          {"cldr-annotations-derived-full", "annotationsDerived"}};
  for (const auto& [name, folder] : packages) {
    const Package package(find_tarball(raw, name),
                          [](const std::string& member) { return member.ends_with("/annotations.json"); });
    for (const std::string& language : languages) {
      const bool known = package.has(std::string(folder) + "/" + language + "/annotations.json");
      if (!known)
        throw Error("has no language '" + language + "'", package.source(), "use CLDR's tags: en, de, zh-Hant");
      read_annotations(package, folder, language, symbols_);
    }
  }
}

void SymbolTable::index_names() {
  for (const auto& [id, symbol] : symbols_)
    if (const auto name = symbol.names.find("en"); name != symbol.names.end()) add_name(name->second, id);
  for (const auto& [words, id] : other_spellings_)
    if (symbols_.contains(id)) add_name(words, id);
}

}  // namespace tessera

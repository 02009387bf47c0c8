#include "data/icon_plan.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "core/error.h"
#include "data/clip_art.h"
#include "data/codepoints.h"
#include "data/emoji_font.h"
#include "data/package.h"
#include "data/spellings.h"

namespace tessera {
namespace {

/// The sets whose own lists of code points also teach how older sets spell the symbols.
bool states_symbols(const IconSet& set) {
  return std::any_of(set.icons.begin(), set.icons.end(), [](const Icon& icon) { return !icon.symbol.empty(); });
}

/// The symbol that an icon draws: as its set states it, else by one of its names. nullptr when unknown or unnamed.
const Symbol* match(const IconSet& set, const Icon& icon, const SymbolTable& symbols) {
  const std::optional<std::string> odd = odd_spelling(set.prefix, icon.name);
  std::string id = odd ? *odd : icon.symbol;
  if (odd && id.empty()) return nullptr;
  if (id.empty()) id = symbols.find_name(icon.name);
  for (size_t i = 0; id.empty() && i < icon.aliases.size(); ++i) id = symbols.find_name(icon.aliases[i]);
  const Symbol* symbol = symbols.find(id);
  return symbol && symbol->names.contains("en") ? symbol : nullptr;
}

/// The better of two pictures of one symbol: one that the set still shows, whose code points it states.
bool better(const Icon& a, const Icon& b) {
  return std::tuple(a.hidden, a.symbol.empty(), a.name) < std::tuple(b.hidden, b.symbol.empty(), b.name);
}

/// Shards are read in sequence, so neighbours should not be alike: the order is that of a hash.
void mix(std::vector<IconItem>& items) {
  std::sort(items.begin(), items.end(), [](const IconItem& a, const IconItem& b) {
    return std::pair(fnv1a64(a.key), a.key) < std::pair(fnv1a64(b.key), b.key);
  });
}

}  // namespace

IconPlan::IconPlan(const IconOptions& options, IconSummary& summary) : symbols(options.raw, options.languages) {
  const auto read = [&](const std::vector<std::string>& packages, bool train) {
    for (const std::string& package : packages) {
      if (train && is_test_style(package)) refuse_test_style(IconSet{package, "", "", "", "", {}});
      sets.push_back(read_icon_set(find_tarball(options.raw, package)));
      if (train) refuse_test_style(sets.back());
    }
  };
  read(options.emoji, true);
  for (const std::string& package : options.fonts)
    sets.push_back(read_emoji_font(find_tarball(options.raw, package), symbols.all())), refuse_test_style(sets.back());
  read(options.icons, true);
  read(options.namesakes, true);
  for (const std::string& package : options.clip_art)
    sets.push_back(read_clip_art(find_debian_package(options.raw, package))), refuse_test_style(sets.back());
  read(options.test, false);
  for (size_t i = 0; i < options.emoji.size(); ++i)
    if (states_symbols(sets[i]))
      for (const Icon& icon : sets[i].icons) {
        if (icon.symbol.empty()) continue;
        symbols.add_name(icon.name, icon.symbol);
        for (const std::string& alias : icon.aliases) symbols.add_name(alias, icon.symbol);
      }
  size_t next = 0, tests = 0;
  for (size_t i = 0; i < options.emoji.size(); ++i) add_emoji(sets[next++], "", options, summary);
  for (size_t i = 0; i < options.fonts.size(); ++i) add_emoji(sets[next++], "", options, summary);
  for (size_t i = 0; i < options.icons.size(); ++i) add_named(sets[next++], true, summary);
  for (size_t i = 0; i < options.namesakes.size(); ++i) add_named(sets[next++], false, summary);
  for (size_t i = 0; i < options.clip_art.size(); ++i) add_clip_art(sets[next++], summary);
  for (size_t i = 0; i < options.test.size(); ++i) {
    const std::string split = ++tests == 1 ? "unseen-style" : "unseen-style-" + std::to_string(tests);
    add_emoji(sets[next++], split, options, summary);
  }
  for (auto& [stem, items] : shards) mix(items);
}

void IconPlan::add_emoji(const IconSet& set, const std::string& test_split, const IconOptions& options,
                         IconSummary& summary) {
  std::map<const Symbol*, const Icon*> chosen;
  for (const Icon& icon : set.icons) {
    const Symbol* symbol = match(set, icon, symbols);
    if (!symbol) ++summary.unmatched[set.prefix];
    if (!symbol || (symbol->skin_tone && !options.skin_tones)) continue;
    const Icon*& best = chosen[symbol];
    if (!best || better(icon, *best)) best = &icon;
  }
  for (const auto& [symbol, icon] : chosen) {
    const bool train = test_split.empty();
    const std::string split = !train ? test_split : symbol->seen ? "train" : "unseen-symbols";
    const std::string stem = !train ? set.prefix : symbol->seen ? "train-emoji" : "unseen-symbols";
    shards[stem].push_back({set.prefix + "-" + symbol->id, &set, icon, symbol, split});
    styles[symbol->id].insert(set.prefix);
    ++summary.pictures[set.prefix][split];
  }
}

void IconPlan::add_named(const IconSet& set, bool others, IconSummary& summary) {
  for (const Icon& icon : set.icons) {
    if (icon.hidden) continue;
    // An icon called "anchor" draws that symbol too, and would teach its name were the symbol one of the unseen.
    const Symbol* namesake = symbols.find(symbols.find_name(icon.name));
    if (namesake && (!namesake->seen || !namesake->names.contains("en"))) continue;
    if (!namesake && !others) continue;
    shards[namesake ? "train-namesakes" : "train-icons"].push_back(
        {set.prefix + "-" + icon.name, &set, &icon, namesake, "train"});
    ++summary.pictures[set.prefix]["train"];
  }
}

bool IconPlan::names_unseen(const std::string& words) const {
  const Symbol* symbol = symbols.find(symbols.find_name(words));
  return symbol && !symbol->seen;
}

void IconPlan::add_clip_art(IconSet& set, IconSummary& summary) {
  for (Icon& icon : set.icons) {
    if (names_unseen(icon.title)) continue;
    std::erase_if(icon.keywords, [this](const std::string& word) { return names_unseen(word); });
    shards["train-clip-art"].push_back({set.prefix + "-" + icon.name, &set, &icon, nullptr, "train"});
    ++summary.pictures[set.prefix]["train"];
  }
}

std::string caption_of(const Icon& icon) {
  if (!icon.title.empty()) return icon.title;
  std::string caption = icon.name;
  std::replace(caption.begin(), caption.end(), '-', ' ');
  return caption;
}

Json describe(const IconItem& item) {
  Json json = {{"style", item.set->prefix},
               {"source", item.set->source()},
               {"licence", item.set->licence},
               {"split", item.split}};
  if (!item.symbol) {
    json["id"] = "icon:" + item.set->prefix + ":" + item.icon->name;
    json["captions"] = {{"en", caption_of(*item.icon)}};
    json["keywords"] = Json::object();
    if (!item.icon->keywords.empty()) json["keywords"]["en"] = item.icon->keywords;
    if (!item.icon->group.empty()) json["group"] = item.icon->group;
    return json;
  }
  const Symbol& symbol = *item.symbol;
  json["id"] = symbol.id;
  json["character"] = symbol.character;
  json["group"] = symbol.group;
  json["subgroup"] = symbol.subgroup;
  json["skin_tone"] = symbol.skin_tone;
  json["seen"] = symbol.seen;
  json["captions"] = symbol.names;
  json["keywords"] = symbol.keywords;
  return json;
}

std::string names_jsonl(const IconPlan& plan) {
  std::string text;
  for (const auto& [id, styles] : plan.styles) {
    const Symbol& symbol = *plan.symbols.find(id);
    const Json json = {{"id", id},
                       {"character", symbol.character},
                       {"group", symbol.group},
                       {"subgroup", symbol.subgroup},
                       {"skin_tone", symbol.skin_tone},
                       {"seen", symbol.seen},
                       {"styles", styles},
                       {"names", symbol.names},
                       {"keywords", symbol.keywords}};
    text += json.dump() + "\n";
  }
  return text;
}

std::string caption_corpus(const IconPlan& plan) {
  std::set<std::string> captions;
  for (const auto& [id, styles] : plan.styles) {
    const Symbol& symbol = *plan.symbols.find(id);
    if (!symbol.seen) continue;
    for (const auto& [language, name] : symbol.names) captions.insert(name);
    for (const auto& [language, words] : symbol.keywords) captions.insert(words.begin(), words.end());
  }
  if (const auto named = plan.shards.find("train-icons"); named != plan.shards.end())
    for (const IconItem& item : named->second) captions.insert(caption_of(*item.icon));
  std::string text;
  for (const std::string& caption : captions) text += caption + "\n";
  return text;
}

}  // namespace tessera

#pragma once
#include <set>
#include <string>
#include <vector>

#include "data/iconify.h"
#include "data/icons.h"
#include "data/symbols.h"

namespace tessera {

/// One picture to draw.
struct IconItem {
  std::string key;               ///< name of its members in the shard, unique in the data
  const IconSet* set = nullptr;  ///< where it is from
  const Icon* icon = nullptr;
  const Symbol* symbol = nullptr;  ///< nullptr: a named icon
  std::string split;
};

/// All pictures, by file stem of their shards ("train-emoji"), each list in the order in which it is written.
struct IconPlan {
  IconPlan(const IconOptions& options, IconSummary& summary);
  IconPlan(const IconPlan&) = delete;

  SymbolTable symbols;
  std::vector<IconSet> sets;
  std::map<std::string, std::vector<IconItem>> shards;
  std::map<std::string, std::set<std::string>> styles;  ///< symbol -> styles that draw it

 private:
  void add_emoji(const IconSet& set, const std::string& test_split, const IconOptions& options, IconSummary& summary);
  void add_clip_art(IconSet& set, IconSummary& summary);
  bool names_unseen(const std::string& words) const;
  /// @param others  also icons that share their name with no symbol
  void add_named(const IconSet& set, bool others, IconSummary& summary);
};

/// The content of KEY.json.
Json describe(const IconItem& item);

/// What an icon is called: its title, else its name, "account-network-outline" -> "account network outline".
std::string caption_of(const Icon& icon);

/// What names.jsonl and corpus.txt hold.
std::string names_jsonl(const IconPlan& plan);
std::string caption_corpus(const IconPlan& plan);

}  // namespace tessera

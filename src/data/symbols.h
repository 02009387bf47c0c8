#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tessera {

/// Text per language tag ("en", "pt", "zh").
using Names = std::map<std::string, std::string>;
using Keywords = std::map<std::string, std::vector<std::string>>;

/// What is known about one emoji, apart from its pictures.
struct Symbol {
  std::string id;         ///< code points, see codepoints.h
  std::string character;  ///< UTF-8, with the variation selectors that Unicode recommends
  std::string group, subgroup;
  bool skin_tone = false;  ///< a variant with skin-tone modifiers
  bool seen = true;        ///< false: held out, never trained on
  Names names;             ///< the short names of CLDR ("text to speech")
  Keywords keywords;       ///< CLDR's, without the name itself
};

/// All emoji that CLDR names, and the ways in which icon sets spell them.
class SymbolTable {
 public:
  /// Reads cldr-annotations-full, cldr-annotations-derived-full and emojibase-data from the folder of tarballs.
  /// @param languages  CLDR folders, e.g. {"en", "de"}; English is always read
  /// @throws Error when a package or a language is missing or damaged
  SymbolTable(const std::filesystem::path& raw, const std::vector<std::string>& languages);

  /// nullptr when the symbol is unknown.
  const Symbol* find(const std::string& id) const;
  const std::map<std::string, Symbol>& all() const { return symbols_; }

  /// The identifier of a symbol spelled in words, as icon sets do ("grinning-face", "alienmonster"): by CLDR name, then
  /// emojibase label, Unicode name and shortcode. Case, spaces and punctuation do not matter. Empty when unknown.
  std::string find_name(std::string_view words) const;
  /// Teaches find_name() another spelling; one that it knows already stays (a set calls Clipperton "flag for France").
  void add_name(std::string_view words, const std::string& id);

 private:
  void read_emojibase(const std::filesystem::path& raw);
  void read_cldr(const std::filesystem::path& raw, const std::vector<std::string>& languages);
  void index_names();

  std::map<std::string, Symbol> symbols_;
  std::map<std::string, std::string> spelled_;                        ///< letters and digits of a name -> id
  std::vector<std::pair<std::string, std::string>> other_spellings_;  ///< of emojibase, in the order of preference
};

/// The letters and digits of a text in lower case, "&" as "and", all else left out; letters beyond ASCII stay as they
/// are.
std::string bare_name(std::string_view words);

}  // namespace tessera

#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tessera {

/// One picture of an icon set.
struct Icon {
  std::string name;                        ///< "grinning-face"
  std::vector<std::string> aliases;        ///< other names of the same picture
  std::string symbol;                      ///< code points where the set states them (chars.json), else empty
  std::string svg;                         ///< a complete document
  bool hidden = false;                     ///< kept by the set for compatibility only
  std::string title = "";                  ///< its name as a caption; empty: `name` with blanks for dashes
  std::vector<std::string> keywords = {};  ///< other words for it
  std::string group = "";                  ///< the subject that the set files it under
};

/// A set of icons from an @iconify-json package.
struct IconSet {
  std::string package;  ///< "@iconify-json/noto"
  std::string version;
  std::string prefix;       ///< "noto": how the set names its style
  std::string title;        ///< "Noto Emoji"
  std::string licence;      ///< SPDX, e.g. "Apache-2.0"
  std::vector<Icon> icons;  ///< in the order of their names
  bool uneven = false;      ///< a collection of many hands: drawings that cannot be drawn are left out, and reported

  std::string source() const { return package + "@" + version; }
};

/// @throws Error when the package has no icons.json, or one of another form
IconSet read_icon_set(const std::filesystem::path& tarball);

/// Whether a set is one of the styles that are kept for testing: any spelling of Fluent Emoji and OpenMoji.
bool is_test_style(const IconSet& set);
bool is_test_style(std::string_view name);

/// @throws Error when the set must not be trained on
void refuse_test_style(const IconSet& set);

}  // namespace tessera

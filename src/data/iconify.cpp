#include "data/iconify.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/codepoints.h"
#include "data/package.h"
#include "data/symbols.h"

namespace tessera {
namespace {

using Json = nlohmann::json;

/// A number that an icon, or else its set, or else the format gives.
double extent(const Json& icon, const Json& set, const char* key, double otherwise) {
  return icon.value(key, set.value(key, otherwise));
}

std::string number(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

/// The whole document of an icon, of which the set holds only the inner part.
std::string document(const Json& icon, const Json& set) {
  const double width = extent(icon, set, "width", 16), height = extent(icon, set, "height", 16);
  if (!(width > 0 && height > 0)) throw Error("has no positive width and height", "icon");
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"" +
         number(width) + "\" height=\"" + number(height) + "\" viewBox=\"" + number(extent(icon, set, "left", 0)) +
         " " + number(extent(icon, set, "top", 0)) + " " + number(width) + " " + number(height) + "\">" +
         icon.at("body").get<std::string>() + "</svg>";
}

/// Follows aliases of aliases to the icon; empty when the chain is broken or goes round.
std::string resolve(const Json& set, std::string name) {
  for (int depth = 0; depth < 16; ++depth) {
    if (set.at("icons").contains(name)) return name;
    const Json& aliases = set.at("aliases");
    if (!aliases.contains(name)) return "";
    name = aliases.at(name).at("parent").get<std::string>();
  }
  return "";
}

/// An alias that turns or mirrors its parent is another picture.
bool same_picture(const Json& alias) {
  return !alias.contains("rotate") && !alias.contains("hFlip") && !alias.contains("vFlip");
}

std::map<std::string, Icon> read_icons(const Json& set) {
  std::map<std::string, Icon> icons;
  for (const auto& [name, icon] : set.at("icons").items())
    icons[name] = Icon{name, {}, "", document(icon, set), icon.value("hidden", false)};
  if (!set.contains("aliases")) return icons;
  for (const auto& [name, alias] : set.at("aliases").items())
    if (const std::string parent = resolve(set, name); !parent.empty() && same_picture(alias))
      icons.at(parent).aliases.push_back(name);
  return icons;
}

/// chars.json: code points -> icon or alias. Sets that are fonts list private code points, which name no symbol.
void read_symbols(const Package& package, const Json& set, std::map<std::string, Icon>& icons) {
  if (!package.has("chars.json")) return;
  const Json chars = package.json("chars.json");
  for (const auto& [hex, name] : chars.items()) {
    const auto icon = icons.find(resolve(set, name.get<std::string>()));
    if (icon != icons.end() && icon->second.symbol.empty()) icon->second.symbol = symbol_id(hex);
  }
}

}  // namespace

IconSet read_icon_set(const std::filesystem::path& tarball) {
  const Package package(tarball, [](const std::string& member) {
    return member == "icons.json" || member == "chars.json" || member == "info.json";
  });
  IconSet result{package.name(), package.version(), "", "", package.licence(), {}};
  try {
    Json set = package.json("icons.json");
    if (!set.contains("aliases")) set["aliases"] = Json::object();
    result.prefix = set.at("prefix").get<std::string>();
    if (package.has("info.json")) {
      const Json info = package.json("info.json");
      result.title = info.value("name", "");
      if (info.contains("license")) result.licence = info.at("license").value("spdx", result.licence);
    }
    std::map<std::string, Icon> icons = read_icons(set);
    read_symbols(package, set, icons);
    for (auto& [name, icon] : icons) result.icons.push_back(std::move(icon));
  } catch (const Json::exception& error) {
    throw Error(std::string("is no Iconify set: ") + error.what(), tarball.string());
  }
  return result;
}

bool is_test_style(std::string_view name) {
  const std::string bare = bare_name(name);
  for (const char* style : {"fluentemoji", "fluentuiemoji", "openmoji"})
    if (bare.find(style) != std::string::npos) return true;
  return false;
}

bool is_test_style(const IconSet& set) {
  return is_test_style(set.package) || is_test_style(set.prefix) || is_test_style(set.title);
}

void refuse_test_style(const IconSet& set) {
  if (is_test_style(set))
    throw Error("is a style that is kept for testing and never trained on", set.package,
                "take it out of the training sets");
}

}  // namespace tessera

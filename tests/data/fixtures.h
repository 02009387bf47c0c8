#pragma once
#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/files.h"
#include "core/options.h"
#include "data/archive.h"
#include "support/scratch.h"

namespace tessera {

/// An npm package in the folder, as scripts/fetch-data leaves it.
inline void write_package(const std::filesystem::path& folder, const std::string& file, Json manifest,
                          std::vector<TarMember> members) {
  for (TarMember& member : members) member.name = "package/" + member.name;
  members.push_back({"package/package.json", manifest.dump()});
  write_file(folder / file, make_tar(members));
}

/// A Debian package of these files: an ar archive of three members, which start at even offsets.
inline void write_debian_package(const std::filesystem::path& file, const std::vector<TarMember>& members) {
  std::string bytes = "!<arch>\n";
  const auto add = [&bytes](const char* name, const std::string& content) {
    char header[61];
    std::snprintf(header, sizeof header, "%-16s%-12d%-6d%-6d%-8s%-10zu`\n", name, 0, 0, 0, "100644", content.size());
    bytes += header + content;
    if (content.size() % 2 == 1) bytes += '\n';
  };
  add("debian-binary", "2.0\n");
  add("control.tar", make_tar({{"./control", "Package: art\n"}}));
  add("data.tar", make_tar(members));
  write_file(file, bytes);
}

/// A square of one colour in Iconify's form.
inline Json square(const std::string& colour) { return {{"body", "<path fill='" + colour + "' d='M0 0h8v8H0z'/>"}}; }

/// Sets with the symbols grinning face and fire (seen) and waving hand (unseen), and what names them.
inline void write_icon_packages(const std::filesystem::path& raw) {
  const auto annotations = [](const char* outer, Json entries) {
    return Json{{outer, {{"annotations", entries}}}}.dump();
  };
  const Json english = {{"😀", {{"default", {"face", "grin", "grinning face"}}, {"tts", {"grinning face"}}}},
                        {"🔥", {{"default", {"flame"}}, {"tts", {"fire"}}}},
                        {"👋", {{"default", {"hand"}}, {"tts", {"waving hand"}}}}};
  const Json german = {{"😀", {{"default", {"Gesicht"}}, {"tts", {"grinsendes Gesicht"}}}}};
  write_package(raw, "cldr-annotations-full-1.0.0.tgz", {{"name", "cldr-annotations-full"}, {"version", "1.0.0"}},
                {{"annotations/en/annotations.json", annotations("annotations", english)},
                 {"annotations/de/annotations.json", annotations("annotations", german)}});
  const Json derived = {{"👋🏽", {{"tts", {"waving hand: medium skin tone"}}}}};
  write_package(raw, "cldr-annotations-derived-full-1.0.0.tgz",
                {{"name", "cldr-annotations-derived-full"}, {"version", "1.0.0"}},
                {{"annotationsDerived/en/annotations.json", annotations("annotationsDerived", derived)},
                 {"annotationsDerived/de/annotations.json", annotations("annotationsDerived", Json::object())}});
  const Json emoji = {{{"label", "grinning face"}, {"hexcode", "1F600"}, {"emoji", "😀"}, {"group", 0}, {"subgroup", 1}},
                      {{"label", "fire"}, {"hexcode", "1F525"}, {"emoji", "🔥"}, {"tags", {"hot"}}},
                      {{"label", "waving hand"},
                       {"hexcode", "1F44B"},
                       {"emoji", "👋"},
                       {"skins", {{{"label", "waving hand"}, {"hexcode", "1F44B-1F3FD"}, {"emoji", "👋🏽"}}}}}};
  write_package(raw, "emojibase-data-1.0.0.tgz", {{"name", "emojibase-data"}, {"version", "1.0.0"}},
                {{"en/data.json", emoji.dump()},
                 {"meta/groups.json", R"({"groups": {"0": "smileys"}, "subgroups": {"1": "face-smiling"}})"},
                 {"meta/unicode-names.json", R"({"1F525": "FIRE"})"},
                 {"en/shortcodes/github.json", R"({"1F44B": ["wave"]})"}});
  const auto icons = [](const std::string& prefix, Json set) {
    set["prefix"] = prefix;
    set["width"] = 8, set["height"] = 8;
    return set.dump();
  };
  const Json flat = {
      {"icons", {{"grinning-face", square("red")}, {"fire", square("orange")}, {"wave", square("blue")}}}};
  write_package(raw, "iconify-json-flat-1.0.0.tgz",
                {{"name", "@iconify-json/flat"}, {"version", "1.0.0"}, {"license", "MIT"}},
                {{"icons.json", icons("flat", flat)}});
  const Json round = {{"icons", {{"smile", square("green")}, {"hello-tone", square("brown")}, {"junk", square("red")}}},
                      {"aliases", {{"grin", {{"parent", "smile"}}}}}};
  write_package(raw, "iconify-json-round-2.1.0.tgz",
                {{"name", "@iconify-json/round"}, {"version", "2.1.0"}, {"license", "ISC"}},
                {{"icons.json", icons("round", round)},
                 {"chars.json", R"({"1f600": "grin", "1f44b-1f3fd": "hello-tone"})"},
                 {"info.json", R"({"name": "Round", "license": {"spdx": "CC0-1.0"}})"}});
  const Json plain = {{"icons",
                       {{"house-with-tree", {{"body", "<path d='M0 0h4v2z'/>"}, {"width", 4}, {"height", 2}}},
                        {"fire", square("black")},
                        {"waving-hand", square("black")}}}};
  write_package(raw, "iconify-json-plain-1.0.0.tgz",
                {{"name", "@iconify-json/plain"}, {"version", "1.0.0"}, {"license", "MIT"}},
                {{"icons.json", icons("plain", plain)}});
  write_package(raw, "iconify-json-fluent-emoji-flat-1.0.0.tgz",
                {{"name", "@iconify-json/fluent-emoji-flat"}, {"version", "1.0.0"}, {"license", "MIT"}},
                {{"icons.json", icons("fluent-emoji-flat", flat)}});
}

}  // namespace tessera

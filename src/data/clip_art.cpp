#include "data/clip_art.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "data/archive.h"

namespace tessera {
namespace {

constexpr std::string_view kRoot = "./usr/share/openclipart/svg/";

struct FreeDocument {
  void operator()(xmlDoc* document) const { xmlFreeDoc(document); }
};
struct FreeText {
  void operator()(xmlChar* text) const { xmlFree(text); }
};

bool is_element(const xmlNode* node, const char* name) {
  return node->type == XML_ELEMENT_NODE && xmlStrEqual(node->name, BAD_CAST name);
}

/// The text inside a node, in one line.
std::string text_of(const xmlNode* node) {
  const std::unique_ptr<xmlChar, FreeText> content(xmlNodeGetContent(node));
  std::string text;
  for (const char* at = reinterpret_cast<const char*>(content.get()); at && *at; ++at) {
    const bool blank = *at == ' ' || *at == '\n' || *at == '\r' || *at == '\t';
    if (!blank)
      text += *at;
    else if (!text.empty() && text.back() != ' ')
      text += ' ';
  }
  if (text.ends_with(' ')) text.pop_back();
  return text;
}

/// The first element of this name below a node, in the order of the document; nullptr when there is none.
const xmlNode* find_below(const xmlNode* node, const char* name) {
  for (const xmlNode* child = node->children; child; child = child->next) {
    if (is_element(child, name)) return child;
    if (const xmlNode* found = find_below(child, name)) return found;
  }
  return nullptr;
}

std::string with_dashes(std::string text) {
  for (char& c : text)
    if (c == '/' || c == '.' || c == ' ') c = '-';
  return text;
}

/// "people/children/boy_01.svg" -> "boy 01".
std::string spoken_file(const std::string& path) {
  std::string name = std::filesystem::path(path).stem().string();
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

}  // namespace

DrawingDescription describe_drawing(const std::string& svg) {
  const int options = XML_PARSE_NONET | XML_PARSE_RECOVER | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
  const std::unique_ptr<xmlDoc, FreeDocument> document(
      xmlReadMemory(svg.data(), static_cast<int>(svg.size()), "drawing", nullptr, options));
  DrawingDescription result;
  const xmlNode* root = document ? xmlDocGetRootElement(document.get()) : nullptr;
  const xmlNode* work = root ? find_below(root, "Work") : nullptr;
  for (const xmlNode* child = work ? work->children : nullptr; child; child = child->next) {
    if (is_element(child, "title")) result.title = text_of(child);
    const xmlNode* bag = is_element(child, "subject") ? find_below(child, "Bag") : nullptr;
    for (const xmlNode* item = bag ? bag->children : nullptr; item; item = item->next)
      if (std::string word = is_element(item, "li") ? text_of(item) : ""; !word.empty())
        result.keywords.push_back(std::move(word));
  }
  return result;
}

IconSet read_clip_art(const std::filesystem::path& package) {
  const std::string file = package.filename().string();  // openclipart-svg_VERSION_all.deb
  const size_t dash = file.find('_');
  IconSet set{file.substr(0, dash),
              file.substr(dash + 1, file.rfind('_') - dash - 1),
              "openclipart",
              "Open Clip Art Library",
              "public domain",
              {},
              true};
  const auto wanted = [](const std::string& name) { return name.starts_with(kRoot) && name.ends_with(".svg"); };
  visit_debian_package(package, wanted, [&](const std::string& name, std::string svg) {
    const std::string path = name.substr(kRoot.size());
    DrawingDescription said = describe_drawing(svg);
    Icon icon{.name = with_dashes(path.substr(0, path.size() - 4)), .svg = std::move(svg)};
    icon.title = said.title.empty() ? spoken_file(path) : std::move(said.title);
    icon.keywords = std::move(said.keywords);
    icon.group = path.substr(0, path.find('/'));
    set.icons.push_back(std::move(icon));
  });
  if (set.icons.empty()) throw Error("holds no clip art", package.string(), "it should be Debian's openclipart-svg");
  return set;
}

}  // namespace tessera

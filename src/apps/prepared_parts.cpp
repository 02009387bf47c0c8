#include "apps/prepared_parts.h"

#include <cstdio>
#include <iterator>
#include <map>
#include <string>

namespace tessera::apps {

std::string short_number(double value) {
  const char* units[] = {"", " k", " M", " G", " T"};
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit) value /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f%s" : "%.2f%s", value, units[unit]);
  return text;
}

Json to_json(const std::vector<PreparedPart>& parts) {
  Json list = Json::array();
  for (const auto& part : parts) {
    list.push_back({{"path", part.path}, {"kind", part.kind}, {"parameters", part.parameters}, {"bytes", part.bytes}});
    if (!part.sparse.empty()) list.back()["sparse"] = part.sparse;
    if (!part.left.empty()) list.back()["left"] = part.left;
  }
  return list;
}

void print_prepared(const std::vector<PreparedPart>& parts) {
  size_t swapped = 0;
  std::map<std::string, size_t> sparse;
  int64_t bytes = 0, numbers = 0;
  for (const auto& part : parts) {
    if (!part.sparse.empty()) ++sparse[part.sparse];
    if (part.left.empty()) ++swapped, bytes += part.bytes, numbers += part.parameters;
  }
  std::printf("%-12s %zu of %zu parts, with %s numbers in %s bytes\n", "prepared", swapped, parts.size(),
              short_number(static_cast<double>(numbers)).c_str(), short_number(static_cast<double>(bytes)).c_str());
  for (const auto& [pattern, count] : sparse)
    std::printf("%-12s %zu of them keep %s of their weights\n", "sparse", count, pattern.c_str());
  for (const auto& part : parts)
    if (!part.left.empty())
      std::printf("  %-40s %-14s %s numbers: %s\n", part.path.c_str(), part.kind.c_str(),
                  short_number(static_cast<double>(part.parameters)).c_str(), part.left.c_str());
}

}  // namespace tessera::apps

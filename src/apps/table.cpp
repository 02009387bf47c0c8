#include "apps/table.h"

#include <algorithm>
#include <cstdio>

namespace tessera::apps {
namespace {

void print_markdown(const Table& table) {
  for (const auto& column : table.columns) std::printf("| %s ", column.c_str());
  std::printf("|\n");
  for (size_t i = 0; i < table.columns.size(); ++i) std::printf(i < table.text_columns ? "| --- " : "| ---: ");
  std::printf("|\n");
  for (const auto& row : table.rows) {
    if (row.empty()) continue;
    for (const auto& cell : row) std::printf("| %s ", cell.c_str());
    std::printf("|\n");
  }
}

void print_plain(const Table& table) {
  std::vector<size_t> widths;
  for (const auto& column : table.columns) widths.push_back(column.size());
  for (const auto& row : table.rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  const auto print = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size(); ++i)
      std::printf(i < table.text_columns ? "%-*s  " : "%*s  ", static_cast<int>(widths[i]), row[i].c_str());
    std::printf("\n");
  };
  print(table.columns);
  for (const auto& row : table.rows) print(row);
}

}  // namespace

void Table::print(bool markdown) const { markdown ? print_markdown(*this) : print_plain(*this); }

std::string decimals(double value, int places) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", places, value);
  return text;
}

std::string percent(double share) { return share < 0 ? "-" : decimals(100 * share, 1); }

}  // namespace tessera::apps

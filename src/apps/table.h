#pragma once
#include <string>
#include <vector>

namespace tessera::apps {

/// A table to print: the first columns are text, aligned left; the others numbers, aligned right.
struct Table {
  std::vector<std::string> columns;
  size_t text_columns = 1;
  std::vector<std::vector<std::string>> rows;  ///< an empty row is an empty line

  void print(bool markdown) const;
};

/// 3.14159 with two places: "3.14".
std::string decimals(double value, int places);

/// "73.1"; "-" for a negative share.
std::string percent(double share);

}  // namespace tessera::apps

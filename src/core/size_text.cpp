#include "core/size_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>

#include "core/error.h"

namespace tessera {
namespace {

constexpr const char* kUnits = "KMGT";

/// The factor of "", "K", "MB", "GiB", ...; 0 for what is none.
double factor_of(std::string unit) {
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (unit.empty() || unit == "B") return 1;
  const std::string_view units = kUnits;
  const size_t power = units.find(unit[0]);
  const std::string rest = unit.substr(1);
  if (power == std::string_view::npos || (!rest.empty() && rest != "B" && rest != "IB")) return 0;
  return static_cast<double>(int64_t{1024} << 10 * power);
}

}  // namespace

int64_t parse_size(const std::string& text, const std::string& where) {
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + digits, number, std::chars_format::fixed);
  const double bytes = number * factor_of(text.substr(digits));
  if (failure != std::errc() || end != text.data() + digits || !(bytes >= 1) || bytes > 1e18)
    throw Error("is no size: '" + text + "'", where, "give a number of bytes, or one with K, M, G or T, as 1.5G");
  return static_cast<int64_t>(bytes);
}

std::string size_text(int64_t bytes) {
  double number = static_cast<double>(bytes);
  size_t power = 0;
  for (; number >= 1024 && power < 4; ++power) number /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, number < 10 && power > 0 ? "%.1f " : "%.0f ", number);
  return power == 0 ? std::string(text) + "bytes" : std::string(text) + kUnits[power - 1] + "B";
}

}  // namespace tessera

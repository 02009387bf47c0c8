#include "core/options.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tessera {
namespace {

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, change}));
    }
  }
  return row.back();
}

std::string list(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string suggestion(const std::string& word, const std::vector<std::string>& known) {
  const std::string near = nearest(word, known);
  return near.empty() ? "known: " + list(known) : "did you mean '" + near + "'?";
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  size_t best_distance = std::max<size_t>(2, word.size() / 2) + 1;
  for (const auto& candidate : known) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) best_distance = distance, best = candidate;
  }
  return best;
}

void check_choice(const std::string& value, const std::vector<std::string>& known, const std::string& where) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  throw Error("unknown value '" + value + "'", where, suggestion(value, known));
}

namespace detail {

void wrong_type(const Json& json, const std::string& expected, const std::string& where) {
  std::string shown = json.dump();
  if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
  throw Error("expected " + expected + ", found " + shown, where);
}

bool whole_number(const Json& json, int64_t& number) {
  constexpr double kLimit = 9007199254740992.0;  // 2^53: beyond it a double is not every whole number
  if (json.is_number_unsigned()) {
    if (json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return false;
  } else if (json.is_number_float()) {
    const double value = json.get<double>();
    if (!(value >= -kLimit && value <= kLimit) || value != std::trunc(value)) return false;
  } else if (!json.is_number_integer()) {
    return false;
  }
  number = json.get<int64_t>();
  return true;
}

void check_keys(const Json& object, const std::vector<std::string>& known, const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    throw Error("unknown key '" + key + "'", where, suggestion(key, known));
  }
}

}  // namespace detail
}  // namespace tessera

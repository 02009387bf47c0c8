#pragma once
#include <string>
#include <vector>

#include "core/options.h"
#include "layers/prepare.h"

namespace tessera::apps {

Json to_json(const std::vector<PreparedPart>& parts);
/// 12345678 -> "12.3 M".
std::string short_number(double value);
/// How much was swapped, how many parts are sparse, and one line for everything that stays as it is.
void print_prepared(const std::vector<PreparedPart>& parts);

}  // namespace tessera::apps

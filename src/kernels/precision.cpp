#include "kernels/precision.h"

#include <algorithm>

#include "core/options.h"

namespace tessera {

const std::vector<std::string>& precision_names() {
  static const std::vector<std::string> names = {"float32", "bfloat16", "int8", "int8-weights", "int4", "int4-128"};
  return names;
}

Precision precision_of(const std::string& name, const std::string& where) {
  const auto& names = precision_names();
  check_choice(name, names, where);
  return static_cast<Precision>(std::find(names.begin(), names.end(), name) - names.begin());
}

}  // namespace tessera

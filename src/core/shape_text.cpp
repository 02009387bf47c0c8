#include "core/shape_text.h"

#include <sstream>

namespace tessera {

std::string shape_text(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

std::string shape_text(at::IntArrayRef shape, torch::ScalarType type) {
  return shape_text(shape) + " of " + c10::toString(type);
}

}  // namespace tessera

#include "layers/initial.h"

#include <cmath>

namespace tessera {
namespace {

thread_local bool glorot = false;

}  // namespace

GlorotLinears::GlorotLinears() : outer_(glorot) { glorot = true; }
GlorotLinears::~GlorotLinears() { glorot = outer_; }

double GlorotLinears::deviation(int64_t in, int64_t out) {
  return glorot ? std::sqrt(2.0 / static_cast<double>(in + out)) : 0.02;
}

}  // namespace tessera

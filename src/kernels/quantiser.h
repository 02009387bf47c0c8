#pragma once
#include <functional>

#include "kernels/quantised.h"

namespace tessera {

/// A way to give a weight few bits other than rounding to the nearest: with what is known of its inputs (Frantar et
/// al., "GPTQ", 2023), by scales that clip (RepQuant), ...
/// @param weight  outputs x inputs, of any floating type; the outputs of a gated layer in the order of its panels
/// @param group   0: int8 with one scale an output; otherwise int4 with one for every so many inputs
/// @return shaped as what to_int8() or to_int4() returns, within the same range
using Quantiser = std::function<Quantised(const torch::Tensor& weight, int64_t group)>;

/// While it lives, the layers that this thread packs are quantised so. Null: to the nearest, as ever.
class QuantisedBy {
 public:
  explicit QuantisedBy(Quantiser quantiser);
  ~QuantisedBy();
  QuantisedBy(const QuantisedBy&) = delete;
  QuantisedBy& operator=(const QuantisedBy&) = delete;

 private:
  Quantiser before_;
};

/// A weight in few bits, by the quantiser that lives.
/// @throws Error where it returned another shape or type, or numbers out of range
Quantised quantised(const torch::Tensor& weight, int64_t group);

}  // namespace tessera

#pragma once
#include <torch/types.h>

#include <map>
#include <string>

#include "kernels/precision.h"

namespace tessera {

/// A part of a model that has a fast form for inference on a CPU; see prepare().
class Preparable {
 public:
  virtual ~Preparable() = default;
  /// Takes the fast form from now on, for calls without a gradient.
  /// @return why it stays as it is; empty where it does not
  virtual std::string prepare(Precision precision) = 0;
  /// What it packed, by names of its own; empty where it packed nothing.
  virtual std::map<std::string, torch::Tensor> packed() const { return {}; }
  /// Takes the fast form that prepare() with this precision left, with what packed() gave then.
  /// @throws Error where the parts do not fit
  virtual void restore(Precision precision, const std::map<std::string, torch::Tensor>& parts) {
    if (parts.empty()) prepare(precision);
  }
  /// The memory that its packed weights take.
  virtual int64_t packed_bytes() const { return 0; }
};

/// A tensor that stands for packed weights: the shape and one number that is none. Whoever reads it sees at once.
torch::Tensor packed_away(const torch::Tensor& weight);
bool is_packed_away(const torch::Tensor& weight);

}  // namespace tessera

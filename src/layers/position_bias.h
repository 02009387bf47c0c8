#pragma once
#include "layers/device.h"
#include "layers/module.h"

namespace tessera {

/// What attention adds to its scores by where query and key stand, instead of position vectors.
class PositionBias : public Module {
 public:
  /// @param queries  positions, B or 1 x L, int64
  /// @param keys     positions, B or 1 x S, int64
  /// @return B or 1 x heads x L x S
  virtual Tensor forward(const Tensor& queries, const Tensor& keys) = 0;
};

struct RelativeBiasOptions {
  int64_t buckets = 32, distance = 128, heads = 8;
  bool bidirectional = true;  ///< half of the buckets for later keys; else all of them for earlier ones
};

/// A learned bias per head and bucket of distances (T5; Raffel et al., 2019): half of the buckets hold one distance
/// each, the others grow logarithmically up to `distance`, the last holds all that is farther.
class RelativeBias : public PositionBias {
 public:
  /// @throws Error when there are too few buckets
  explicit RelativeBias(const RelativeBiasOptions& options);
  Tensor forward(const Tensor& queries, const Tensor& keys) override;

 private:
  RelativeBiasOptions options_;
  Tensor weight_;  // buckets x heads
};

/// A fixed slope per head times the distance to earlier keys (ALiBi; Press et al., 2021): slopes are powers of
/// 2^(-8 / heads), for another number of heads than a power of two as in the authors' code.
class LinearBias : public PositionBias {
 public:
  explicit LinearBias(int64_t heads);
  Tensor forward(const Tensor& queries, const Tensor& keys) override;

 private:
  DeviceTable slopes_;  // heads
};

}  // namespace tessera

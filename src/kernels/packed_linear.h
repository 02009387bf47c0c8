#pragma once
#include <torch/types.h>

#include <map>
#include <memory>
#include <string>

#include "kernels/nonlinearity.h"
#include "kernels/precision.h"
#include "kernels/sparse_pattern.h"

namespace tessera {

namespace cpu {
struct LayerProduct;
struct Row;
}  // namespace cpu

/// What follows a linear layer, in the same pass over its results.
struct LinearFinish {
  Nonlinearity activation = Nonlinearity::kIdentity;
  torch::Tensor residual = {};               ///< added last, of the result's shape; undefined: nothing
  torch::ScalarType type = torch::kFloat32;  ///< of the result: float32 or bfloat16
};

/// A linear layer for inference on a CPU, y = finish(x W^T + b), whose weights were packed once. It has no gradient.
///
/// The result is computed in tiles that stay in a core's cache until they are finished. Precision::kInt8 rounds the
/// inputs of each token to int8, int4 those of each group while rows are few, as in decoding, and has instructions for
/// that; more rows are products with its weights in bfloat16. In float32, bfloat16 and int8, weights that have one of
/// kSparsePatterns once they are rounded are kept without the zeros: 2:4 with where they stand in 9 / 16 of bfloat16's
/// bytes and 5 / 8 of int8's, 1:8 in 5 / 32 and 3 / 16. That changes no result but the order of its sums.
class PackedLinear {
 public:
  /// @param weight  outputs x inputs
  /// @param bias    outputs; may be undefined
  /// @param gated   the second half of the outputs is multiplied by the first, which is activated: half as many results
  /// @throws Error where the halves differ
  PackedLinear(const torch::Tensor& weight, const torch::Tensor& bias, Precision precision, bool gated = false);

  /// The same of what parts() gave. @throws Error naming the part that does not fit the shape
  PackedLinear(const std::map<std::string, torch::Tensor>& parts, int64_t inputs, int64_t outputs, Precision precision,
               bool gated = false);
  /// What it keeps, by name: "panels" and, where it has them, "pattern" (kept and of, int64), "places", "group_scales",
  /// "bias", "scales", "offsets".
  std::map<std::string, torch::Tensor> parts() const;

  /// @param x  ... x inputs, float32 or bfloat16 -> ... x outputs
  torch::Tensor forward(const torch::Tensor& x, const LinearFinish& finish = {}) const;

  /// The weights of these outputs as they are computed with: rows x inputs, float32.
  torch::Tensor rows(const torch::Tensor& outputs) const;

  int64_t inputs() const { return inputs_; }
  Precision precision() const { return precision_; }
  int64_t bytes() const;
  /// What is kept of the weights; 1:1 where that is all.
  const SparsePattern& pattern() const { return pattern_; }
  bool is_sparse() const { return pattern_ != SparsePattern(); }

 private:
  struct Inputs;
  Inputs inputs_of(const torch::Tensor& x, bool as_kept) const;
  void put_groups(const cpu::Row& row, int64_t at, const Inputs& inputs) const;
  void run(const torch::Tensor& x, const LinearFinish& finish, torch::Tensor& result) const;
  void run_as_kept(const cpu::LayerProduct& layer, const Inputs& inputs) const;
  void multiply_kept(const Inputs& inputs, int64_t row, int64_t panel, float* sums, int64_t stride) const;
  /// Whether the products of many rows read something else than what is kept.
  bool unpacks() const { return precision_ == Precision::kInt8Weights || group_ > 0 || is_sparse(); }
  const void* panels_from(int64_t panel, int64_t count) const;
  void unpack(int64_t panel, int64_t inputs, void* out) const;
  int64_t unpacked_inputs() const;

  void set_width();
  SparsePattern pattern_of(const torch::Tensor& numbers) const;
  void keep(const torch::Tensor& numbers);
  torch::ScalarType panel_type() const;

  Precision precision_;
  bool gated_;
  int64_t inputs_, outputs_, width_;  // width: inputs as they lie in a panel
  int64_t group_ = 0;                 // of int4
  SparsePattern pattern_;
  torch::Tensor panels_;
  torch::Tensor places_;                   // of what is kept (see sparse.h); undefined where that is all
  torch::Tensor group_scales_;             // of int4: panels x groups x 64, float16
  torch::Tensor bias_, scales_, offsets_;  // a number for every output of the panels, float32; may be undefined
};

}  // namespace tessera

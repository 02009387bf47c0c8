#pragma once
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/recurrent.h"

namespace tessera {

struct LruOptions {
  int64_t dim = 256, state = 256;
};

/// The linear recurrent unit (Orvieto et al., 2023): h <- lambda h + gamma B x, y = Re(C h) + D x with complex diagonal
/// lambda = exp(-exp(nu) + i exp(theta)) inside the unit circle.
class LruMixer : public RecurrentMixer {
 public:
  explicit LruMixer(const LruOptions& options);
  /// What y is after an impulse in each channel: length x dim (out) x dim (in).
  Tensor kernel(int64_t length) const;

 protected:
  Tensor whole(const Tensor& x) override;
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  std::vector<Tensor> prepared() const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  LruOptions options_;
  Tensor nu_, theta_, gamma_, b_real_, b_imag_, c_real_, c_imag_, d_;
};

struct GatedLruOptions {
  int64_t dim = 256;
  double eps = 1e-5;
};

/// The same recurrence as a gated layer (Akyürek et al., 2024): as many states as channels, a projection to their
/// inputs and a gate, and a norm.
class GatedLruMixer : public RecurrentMixer {
 public:
  explicit GatedLruMixer(const GatedLruOptions& options);

 protected:
  Tensor whole(const Tensor& x) override;
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  std::vector<Tensor> prepared() const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  Tensor input(const Tensor& projected) const;
  Tensor finish(const Tensor& h, const Tensor& projected);

  GatedLruOptions options_;
  Tensor nu_, theta_, gamma_;
  std::shared_ptr<Linear> in_, out_;
  std::shared_ptr<Norm> norm_;
};

struct S5Options {
  int64_t dim = 256, state = 128;
  bool conjugate = true;       ///< the states stand for conjugate pairs, and count twice
  bool bidirectional = false;  ///< a second recurrence runs from the end; there is no state for streams then
  bool clip = false;           ///< real parts are at most -0.0001
  std::string discretisation = "zoh";
  double rescale = 1;  ///< of the steps, for inputs of another rate
};

/// S5 (Smith et al., 2022): one diagonal state space for all channels.
class S5Mixer : public RecurrentMixer {
 public:
  explicit S5Mixer(const S5Options& options);
  std::shared_ptr<State> start() const override;

 protected:
  Tensor whole(const Tensor& x) override;
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  std::vector<Tensor> prepared() const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  S5Options options_;
  Tensor real_, imag_, log_step_, b_, c_, c_back_, d_;
};

}  // namespace tessera

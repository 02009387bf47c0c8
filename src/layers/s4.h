#pragma once
#include "layers/diagonal_ssm.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/recurrent.h"

namespace tessera {

struct S4Options {
  int64_t dim = 512, state = 64;       ///< state: of each channel, half of it stored, as conjugate pairs
  std::string mode = "diag";           ///< "diag" (S4D), or "dplr" (diagonal plus low rank)
  std::string discretisation = "zoh";  ///< of "diag": "zoh", "bilinear" or "dss"; "dplr" is bilinear
  int64_t ssms = 0;                    ///< how many matrices the channels take in turn; 0: one each
  int64_t length = 0;                  ///< of "dplr": what the stored output weights were made for
  bool input_weights = true;           ///< false: they are part of the output weights, and the frequencies are
                                       ///< stored with the other sign (the minimal S4D)
};

/// S4 (Gu et al., 2021) and S4D (Gu et al., 2022): a linear state space for each channel, a skip, GELU, and a gated
/// projection (GLU). Over whole sequences it is a convolution, in a stream the recurrence. With "dss" the kernel
/// depends on the length of the sequence, so that there is no recurrence.
class S4Mixer : public RecurrentMixer {
 public:
  explicit S4Mixer(const S4Options& options);
  std::shared_ptr<State> start() const override;
  Tensor kernel(int64_t length) const;  ///< dim x length; "dplr": no longer than `length`

 protected:
  Tensor whole(const Tensor& x) override;
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  std::vector<Tensor> prepared() const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  struct Continuous {
    Tensor a, b, c, p, dt;  // dim x state / 2, dt: dim x 1
  };
  Continuous continuous() const;
  Tensor low_rank_kernel() const;
  Tensor finish(const Tensor& y, const Tensor& x);

  S4Options options_;
  Tensor a_real_, a_imag_, b_, c_, p_, log_dt_, d_;
  std::shared_ptr<Linear> proj_;
};

struct DssOptions {
  int64_t dim = 256, state = 512;
  double eps = 1e-5;
};

/// The diagonal state space of GSS: steps of one, and one diagonal for all channels; after a norm of its own.
class DssMixer : public RecurrentMixer {
 public:
  explicit DssMixer(const DssOptions& options);

 protected:
  Tensor whole(const Tensor& x) override;
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  std::vector<Tensor> prepared() const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  friend class GssMixer;
  DiagonalSsm ssm() const;

  DssOptions options_;
  std::shared_ptr<Norm> norm_;
  Tensor log_decay_, frequency_, c_real_, c_imag_, d_;
};

struct GssOptions {
  int64_t dim = 512, inner = 0;       ///< inner: width of the gate; 0: 4 dim
  int64_t narrow = 256, state = 512;  ///< narrow: width of the state space
};

/// GSS, gated state spaces (Mehta et al., 2022): a state space on a narrow branch gates a wide one.
class GssMixer : public RecurrentMixer {
 public:
  explicit GssMixer(const GssOptions& options);

 protected:
  Tensor whole(const Tensor& x) override;
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  std::vector<Tensor> prepared() const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  Tensor gated(const Tensor& x, const Tensor& mixed);

  std::shared_ptr<Linear> wide_, narrow_, gate_, proj_;
  std::shared_ptr<DssMixer> dss_;
};

}  // namespace tessera

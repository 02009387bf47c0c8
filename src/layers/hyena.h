#pragma once
#include "layers/causal_convolution.h"
#include "layers/linear.h"
#include "layers/recurrent.h"
#include "layers/rereading.h"

namespace tessera {

struct H3Options {
  int64_t dim = 512, state = 64;
  int64_t head_dim = 1;  ///< keys and values of this width meet in an outer product
};

/// H3 (Fu et al., 2022): a state space that shifts keys, one that remembers where they met values, and queries that
/// read: q SSM(shift(k) v). Over whole sequences both are convolutions. As in the official code, the channels of a head
/// stand together in q, k and v, and those of one index in the result.
class H3Mixer : public RecurrentMixer {
 public:
  explicit H3Mixer(const H3Options& options);
  Tensor kernel(int64_t length) const;  ///< of the memory: heads x length
  Tensor shift() const;                 ///< taps of the other: dim x state

 protected:
  Tensor whole(const Tensor& x) override;
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  std::vector<Tensor> prepared() const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  H3Options options_;
  int64_t heads_;
  std::shared_ptr<Linear> q_, k_, v_, proj_;
  Tensor shift_b_, shift_c_, shift_d_, a_real_, a_imag_, b_, c_, log_dt_, d_;
};

struct HyenaOptions {
  int64_t dim = 512, order = 2, length = 1024;  ///< length: of the longest sequence
  int64_t filter_dim = 64, embedding = 3, kernel = 3;
  double shift = 0;  ///< of the filters' decay, which they do not fall below
};

/// Hyena (Poli et al., 2023): gates and long convolutions in turn, whose filters are the values of a small network with
/// sines at each distance, times a decay. A stream reads its sequence again.
class HyenaMixer : public RereadingMixer {
 public:
  explicit HyenaMixer(const HyenaOptions& options);
  Tensor filter(int64_t length);  ///< length x (dim (order - 1)), channel by channel

 protected:
  /// @throws Error for a sequence that is longer than the filters
  Tensor mix(const Tokens& tokens) override;

 private:
  HyenaOptions options_;
  std::shared_ptr<Linear> in_, out_, filter1_, filter2_, filter3_, filter_out_;
  std::shared_ptr<CausalConvolution> convolution_;
  Tensor frequency_, decay_, bias_, features_, time_;
};

}  // namespace tessera

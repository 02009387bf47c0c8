#pragma once
#include "layers/linear.h"
#include "layers/recurrent.h"

namespace tessera {

struct RwkvTimeOptions {
  int64_t dim = 768, inner = 0;  ///< inner 0: dim
  int64_t longest = 64;          ///< up to this length, whole sequences are computed side by side
};

/// The time mixing of RWKV-4 (Peng et al., 2023): a mean of all values so far, weighted by exp(key) and decayed in each
/// channel, with a bonus for the newest; gated. Keys, values and gates read a mix of a token and the one before it.
class RwkvTimeMixer : public RecurrentMixer {
 public:
  explicit RwkvTimeMixer(const RwkvTimeOptions& options);

 protected:
  Tensor whole(const Tensor& x) override;
  /// The state: the last input; numerator and denominator in a scale of exp(maximum), and that.
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  Tensor means(const Tensor& k, const Tensor& v) const;
  Tensor mean(const Tensor& k, const Tensor& v, std::vector<Tensor>& state) const;

  RwkvTimeOptions options_;
  Tensor decay_, bonus_, mix_key_, mix_value_, mix_receptance_;
  std::shared_ptr<Linear> key_, value_, receptance_, proj_;
};

struct RwkvChannelOptions {
  int64_t dim = 768, hidden = 0;  ///< hidden 0: 4 dim
};

/// The channel mixing of RWKV-4, its feed-forward, which also reads the token before: sigmoid(R x) V relu(K x)^2.
class RwkvChannelMixer : public RecurrentMixer {
 public:
  explicit RwkvChannelMixer(const RwkvChannelOptions& options);

 protected:
  Tensor whole(const Tensor& x) override;
  /// The state: the last input.
  std::vector<Tensor> empty(int64_t batch, const torch::TensorOptions& like) const override;
  Tensor advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) override;

 private:
  Tensor mixed(const Tensor& x, const Tensor& before);

  RwkvChannelOptions options_;
  Tensor mix_key_, mix_receptance_;
  std::shared_ptr<Linear> key_, value_, receptance_;
};

}  // namespace tessera

#include "layers/recurrent.h"

#include <algorithm>

#include "kernels/convolution.h"
#include "kernels/inference.h"
#include "layers/packing.h"

namespace tessera {

std::vector<Tensor*> RecurrentState::replaced() {
  std::vector<Tensor*> all;
  for (Tensor& tensor : tensors) all.push_back(&tensor);
  return all;
}

Tensor RecurrentMixer::forward(const Tokens& tokens) {
  const Packing packing(tokens);
  return tap(*this, packing.unpack(whole(packing.pack(tokens).x)));
}

Tensor RecurrentMixer::step(const Tokens& tokens, State& given) {
  auto& state = dynamic_cast<RecurrentState&>(given).tensors;
  const Packing packing(tokens);
  const Tokens packed = packing.pack(tokens);
  if (state.empty()) state = empty(tokens.x.size(0), tokens.x.options().requires_grad(false));
  const auto constants = prepared();
  std::vector<Tensor> outputs;
  for (int64_t t = 0; t < packed.x.size(1); ++t) {
    std::vector<Tensor> next = state;
    outputs.push_back(advance(packed.x.select(1, t), next, constants));
    for (size_t i = 0; i < state.size(); ++i) {
      if (packed.mask.defined()) {
        std::vector<int64_t> shape(static_cast<size_t>(next[i].dim()), 1);
        shape[0] = -1;
        next[i] = torch::where(packed.mask.select(1, t).view(shape), next[i], state[i]);
      }
      state[i] = next[i];
    }
  }
  return tap(*this, packing.unpack(torch::stack(outputs, 1)));
}

Tensor RecurrentMixer::one_by_one(const Tensor& x) {
  auto state = empty(x.size(0), x.options().requires_grad(false));
  const auto constants = prepared();
  std::vector<Tensor> outputs;
  for (int64_t t = 0; t < x.size(1); ++t) outputs.push_back(advance(x.select(1, t), state, constants));
  return torch::stack(outputs, 1);
}

namespace {

/// Later by `places` along the second axis, with `filling` where nothing was.
Tensor later(const Tensor& x, int64_t places, double filling) {
  const int64_t length = x.size(1);
  return torch::cat({torch::full_like(x.narrow(1, 0, places), filling), x.narrow(1, 0, length - places)}, 1);
}

}  // namespace

Tensor linear_scan(const Tensor& a, const Tensor& x, const Tensor& before) {
  const int64_t length = x.size(1);
  Tensor decay = a.size(1) == length ? a : a.expand_as(x), h = x;
  if (before.defined())
    h = torch::cat({(x.select(1, 0) + decay.select(1, 0) * before).unsqueeze(1), x.narrow(1, 1, length - 1)}, 1);
  for (int64_t places = 1; places < length; places *= 2) {
    h = h + decay * later(h, places, 0);
    decay = decay * later(decay, places, 1);
  }
  return h;
}

Tensor long_convolution(const Tensor& x, const Tensor& kernel) {
  constexpr int64_t kDirectly = 1024;  // taps, up to which the sums themselves are faster than Fourier transforms
  const int64_t length = x.size(1), size = 2 * length;
  const Tensor taps = kernel.narrow(1, 0, std::min(length, kernel.size(1)));
  if (taps.size(1) <= kDirectly && for_inference({x, taps})) return causal_convolution(x, taps);
  const Tensor product = torch::fft_rfft(x.transpose(1, 2), size) * torch::fft_rfft(taps, size);  // B x C x L + 1
  return torch::fft_irfft(product, size).narrow(2, 0, length).transpose(1, 2);
}

}  // namespace tessera

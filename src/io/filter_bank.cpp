#include "io/filter_bank.h"

#include <torch/torch.h>

#include <bit>
#include <cmath>

#include "core/error.h"

namespace tessera {
namespace {

double mel(double hertz) { return 1127 * std::log(1 + hertz / 700); }

}  // namespace

MelBanks mel_banks(int64_t size, const FilterBankOptions& o) {
  const double high = o.high > 0 ? o.high : o.rate / 2 + o.high;
  if (o.bands < 1 || o.low < 0 || high <= o.low || high > o.rate / 2)
    throw Error("there are no " + std::to_string(o.bands) + " bands from " + std::to_string(o.low) + " to " +
                    std::to_string(high) + " Hz",
                "filter bank");
  const auto exact = torch::TensorOptions().dtype(torch::kFloat64);
  const double step = (mel(high) - mel(o.low)) / static_cast<double>(o.bands + 1);
  const torch::Tensor left = mel(o.low) + torch::arange(o.bands, exact).unsqueeze(1) * step;  // bands x 1
  const torch::Tensor bins = torch::arange(size / 2, exact) * (o.rate / static_cast<double>(size));
  const torch::Tensor at = 1127 * torch::log(1 + bins / 700).unsqueeze(0);  // 1 x size / 2
  const torch::Tensor rising = (at - left) / step, falling = (left + 2 * step - at) / step;
  const torch::Tensor centres = 700 * (torch::exp((left.squeeze(1) + step) / 1127) - 1);
  return {torch::minimum(rising, falling).clamp_min(0).to(torch::kFloat32), centres.to(torch::kFloat32)};
}

torch::Tensor log_mel(const torch::Tensor& sound, const FilterBankOptions& o) {
  const auto frame = static_cast<int64_t>(o.rate * o.frame), shift = static_cast<int64_t>(o.rate * o.shift);
  const torch::Tensor samples = sound.flatten().to(torch::kFloat32);
  if (frame < 2 || shift < 1 || samples.size(0) < frame)
    throw Error("a sound of " + std::to_string(samples.size(0)) + " samples is shorter than a frame of " +
                    std::to_string(frame),
                "filter bank");
  torch::Tensor frames = samples.unfold(0, frame, shift);  // frames x samples
  frames = frames - frames.mean(1, true);
  const torch::Tensor before = torch::cat({frames.narrow(1, 0, 1), frames.narrow(1, 0, frame - 1)}, 1);
  const torch::Tensor window = torch::hann_window(frame, false, frames.options());
  const auto size = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(frame)));
  const torch::Tensor power = torch::fft_rfft((frames - o.emphasis * before) * window, size).abs().pow(2);
  const torch::Tensor energy = torch::matmul(power.narrow(1, 0, size / 2), mel_banks(size, o).weights.t());
  return energy.clamp_min(1.1920928955078125e-07).log();
}

torch::Tensor normalised_log_mel(const torch::Tensor& sound, int64_t frames, double mean, double deviation,
                                 const FilterBankOptions& options) {
  const torch::Tensor bands = log_mel(sound - sound.mean(), options);
  const torch::Tensor filled = torch::constant_pad_nd(bands, {0, 0, 0, frames - bands.size(0)});
  return (filled - mean) / (2 * deviation);
}

}  // namespace tessera

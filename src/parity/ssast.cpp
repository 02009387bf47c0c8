#include "encoders/ssast.h"

#include "encoders/classifier.h"
#include "io/filter_bank.h"
#include "parity/golden.h"

namespace tessera::parity {
namespace {

Outputs sound(const Case& item, const Inputs& in) {
  const Json& a = item.attributes;
  if (item.call == "fbank") return {{"fbank", log_mel(in.at("waveform"))}};
  if (item.call == "wav2fbank_normalised")
    return {{"x", normalised_log_mel(in.at("waveform"), a.at("target_length"), a.at("mean"), a.at("std"))}};
  if (item.call == "get_mel_banks") {
    const MelBanks banks = mel_banks(a.at("window_length_padded"));
    return {{"bins", banks.weights}, {"center_freqs", banks.centres.unsqueeze(1)}};
  }
  if (item.call != "gen_maskid_patch") throw Unsupported("no method '" + item.call + "'");
  const Tensor start = in.at("start_id");
  const std::vector<int64_t> starts(start.data_ptr<int64_t>(), start.data_ptr<int64_t>() + start.numel());
  return {{"mask_id", torch::tensor(cluster_mask(starts, a.at("cluster_edge"), a.at("p_t_dim"), a.at("sequence_len"),
                                                 a.at("mask_size")),
                                    torch::kInt64)}};
}

Outputs pretrain(SpectrogramPretraining& model, const Case& item, const Inputs& in) {
  const Tensor picture = spectrogram_picture(in.at("x"));
  const Tensor drawn = model.draw(picture, in.at("mask_index_mpg"));
  const auto picked = model.pick(picture, in.at("mask_index_mpc"));  // last: its results are the recorded ones
  const Tensor loss = picked.loss + item.attributes.at("mse_weight").get<double>() * drawn;
  return {{"nce", picked.loss.view({1})},
          {"acc", picked.accuracy.view({1})},
          {"mse", drawn.view({1})},
          {"loss", loss.view({1})}};
}

/// The grid of the recorded config's patches.
Grid grid_of(const Json& config) {
  const auto extent = [&](const char* size, const char* shape, const char* stride) {
    return (config.at(size).get<int64_t>() - config.at(shape).get<int64_t>()) / config.at(stride).get<int64_t>() + 1;
  };
  return {extent("input_fdim", "fshape", "fstride"), extent("input_tdim", "tshape", "tstride")};
}

System ssast(const Golden& golden) {
  if (golden.kind == "method") return {.call = sound};
  const bool published = golden.variant == "hf_ast";
  System system = assemble_golden(golden, published ? "audio-spectrogram-transformer" : "");
  if (auto model = std::dynamic_pointer_cast<SpectrogramPretraining>(system.module)) {
    system.call = [model](const Case& item, const Inputs& in) { return pretrain(*model, item, in); };
    return system;
  }
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  system.call = [model, golden](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "adapt_pos_embed")
      return {{"pos_embed", adapt_spectrogram_positions(in.at("pos_embed"), 2, grid_of(golden.config.at("pretraining")),
                                                        grid_of(golden.config))}};
    const Tensor picture = spectrogram_picture(in.at(in.contains("x") ? "x" : "input_values"));
    if (item.attributes.value("task", "") != "ft_cls") return {{"logits", model->forward(picture)}};
    // The same weights, pooled over the two class tokens.
    Tokens tokens = model->encoder().forward(picture);
    tokens.x = tokens.x.narrow(1, 0, tokens.prefix), tokens.prefix = 0;
    const auto modules = model->named_modules();
    const Tensor pooled = dynamic_cast<Pool&>(*modules["pool"]).forward(tokens);
    return {{"logits", dynamic_cast<Linear&>(*modules["head"]).forward(pooled)}};
  };
  return system;
}

const AdapterRegistration registration("ssast", ssast);

}  // namespace
}  // namespace tessera::parity

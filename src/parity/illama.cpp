#include "encoders/classifier.h"
#include "layers/soft_mask_attention.h"
#include "parity/golden.h"

namespace tessera::parity {
namespace {

Outputs rotated(const Inputs& in) {
  const Tensor q = in.at("q").transpose(1, 2), k = in.at("k").transpose(1, 2);  // B x heads x N x d
  const Rotary rotary({.adjacent = true}, q.size(3));
  const Rotation rotation = rotary.rotation(torch::arange(q.size(2), torch::kInt64).view({1, -1, 1}), q.options());
  return {{"q", rotation.apply(q).transpose(1, 2)},
          {"k", rotation.apply(k).transpose(1, 2)},
          {"freqs_cos", rotation.cosine[0][0]},
          {"freqs_sin", rotation.sine[0][0]}};
}

Outputs rates(const Json& a) {
  const int64_t steps_of_epoch = a.at("niter_per_ep"), steps = a.at("epochs").get<int64_t>() * steps_of_epoch;
  const int64_t until = a.at("mode") == "standard" ? steps : a.at("cutoff_epoch").get<int64_t>() * steps_of_epoch;
  return {{"soft_mask_rate_per_step",
           torch::tensor(soft_mask_rates(a.at("soft_mask_rate"), steps, until, a.at("schedule")))}};
}

System illama(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  system.call = [model](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "rotary") return rotated(in);
    if (item.call == "mask_scheduler") return rates(item.attributes);
    const auto modules = model->named_modules();
    for (const auto& module : modules)
      if (auto* attention = dynamic_cast<SoftMaskAttention*>(module.value().get()))
        attention->set_rate(item.attributes.at("soft_mask_rate"));
    if (item.call != "attention") return {{"logits", model->forward(in.at("x"))}};
    const std::string path = "encoder.blocks." + std::to_string(item.attributes.at("block").get<int64_t>());
    auto& attention = dynamic_cast<SoftMaskAttention&>(*modules[path + ".attention"]);
    Taps taps(attention, {"mask"});
    Tokens tokens;
    tokens.x = in.at("x");
    const Tensor out = attention.forward(tokens);
    return {{"out", out}, {"mask", taps.at("mask")}};
  };
  return system;
}

const AdapterRegistration registration("illama", illama);

}  // namespace
}  // namespace tessera::parity

#include "layers/combiner.h"

#include "layers/mixers.h"
#include "layers/weights.h"
#include "parity/causal.h"

namespace tessera::parity {
namespace {

/// The attention of the TensorFlow code by itself.
System attention(const Golden& golden) {
  const Json& config = golden.config;
  const bool fixed = config.at("att_type") == "sqrt_fixed_full";
  const Json options = {{"kind", fixed ? "combiner-fixed" : "combiner-mixture"},
                        {"dim", config.at("model_size")},
                        {"heads", config.at("num_heads")},
                        {"segment", config.at("max_seg_len")},
                        {"causal", config.at("causal")},
                        {"qkv_bias", config.at("dense_use_bias")},
                        {"proj_bias", true},
                        {"summary", config.value("local_summary", "") == "relu-sum" ? "relu-sum" : "max"}};
  const auto mixer = mixers().make(options, "golden");
  System system{.module = mixer,
                .names = NameTable{{"{q|k|v}.weight", "qkv.weight[{0|1|2}]^T"},
                                   {"{q|k|v}.bias", "qkv.bias[{0|1|2}]"},
                                   {"dense.weight", "proj.weight^T"},
                                   {"dense.bias", "proj.bias"}}};
  load_weights(*mixer, Checkpoint::open(golden.folder / "model.safetensors"), system.names);
  system.call = [mixer](const Case&, const Inputs& in) -> Outputs {
    Tokens tokens;
    tokens.x = in.at("x");
    return {{"y", mixer->forward(tokens)}};
  };
  return system;
}

System combiner(const Golden& golden) {
  if (golden.config.contains("att_type")) return attention(golden);
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<LanguageModel>(system.module);
  system.call = [model](const Case& item, const Inputs& in) -> Outputs {
    // The reference puts token 0 before every sequence.
    if (item.call == "predict") {
      const Tensor first = in.at("first").unsqueeze(1), begun = torch::cat({torch::zeros_like(first), first}, 1);
      const int64_t length = model->context() - 1;
      return {
          {"tokens", torch::cat({first.cpu(), generate(*model, {begun, {}, {}}, {.max_new_tokens = length - 1})}, 1)}};
    }
    const Tensor ids = in.at("tokens"), before = torch::constant_pad_nd(ids.narrow(1, 0, ids.size(1) - 1), {1, 0}, 0);
    const Tensor logits = model->forward({before, {}, {}});
    return {{"logits", logits}, {"loss", torch::cross_entropy_loss(logits.flatten(0, 1), ids.flatten())}};
  };
  return system;
}

const AdapterRegistration registration("combiner", combiner);

}  // namespace
}  // namespace tessera::parity

// The layers of loralib, the authors' code of LoRA: one of each kind.
#include "layers/weights.h"
#include "parity/golden.h"
#include "tune/low_rank.h"

namespace tessera::parity {
namespace {

class LoraLayers : public Module {
 public:
  explicit LoraLayers(const Json& config) {
    const int64_t dim = config.at("d"), out = config.at("o"), rank = config.at("r"), words = config.at("v");
    const double scale = config.at("alpha").get<double>() / static_cast<double>(rank);
    const ConvolutionOptions convolution{.in = 3, .out = out, .kernel_height = 3, .kernel_width = 3, .padding = 1};
    lin = add<Linear>("lin", dim, out);
    qkv = add<Linear>("qkv", dim, 3 * dim);
    emb = add<Embedding>("emb", words, dim);
    conv = add<Convolution>("conv", convolution);
    vary_layer(*lin, std::make_shared<LowRank>(LowRankOptions{.in = dim, .out = out, .rank = rank, .scale = scale},
                                               LayerWeights{lin->weight, lin->bias}));
    vary_layer(*qkv, std::make_shared<LowRank>(LowRankOptions{.in = dim,
                                                              .out = 3 * dim,
                                                              .rank = rank,
                                                              .scale = scale,
                                                              .parts = config.at("enable").get<std::vector<bool>>()},
                                               LayerWeights{qkv->weight, qkv->bias}));
    vary_layer(*emb, std::make_shared<LowRankEmbedding>(words, dim, rank, scale));
    vary_layer(*conv, std::make_shared<LowRankConvolution>(convolution, rank, scale));
  }

  /// What loralib does when a module leaves training.
  void merge() {
    const torch::NoGradGuard no_grad;
    for (const auto& [layer, variation] : varied_) {
      auto tensors = named_tensors(*layer);
      const Tensor weight = tensors.at("weight");
      weight.copy_(variation->merged({weight, tensors.contains("bias") ? tensors.at("bias") : Tensor()}).weight);
      variation->active = false;
    }
  }

  Outputs forward(const Inputs& in) {
    return {{"lin", lin->forward(in.at("x"))},
            {"qkv", qkv->forward(in.at("x"))},
            {"emb", emb->forward(in.at("ids"))},
            {"conv", conv->forward(in.at("image"))}};
  }

 private:
  void vary_layer(Module& layer, std::shared_ptr<Variation> variation) {
    add_variation(layer, "lora", variation);
    varied_.emplace_back(&layer, std::move(variation));
  }

  std::shared_ptr<Linear> lin, qkv;
  std::shared_ptr<Embedding> emb;
  std::shared_ptr<Convolution> conv;
  std::vector<std::pair<Module*, std::shared_ptr<Variation>>> varied_;
};

}  // namespace

System loralib_layers(const Golden& golden) {
  const auto layers = std::make_shared<LoraLayers>(golden.config);
  System system{.module = layers,
                .names = {{"lin.lora_A", "lin.lora.a"},
                          {"lin.lora_B", "lin.lora.b"},
                          {"qkv.lora_A", "qkv.lora.a"},
                          {"qkv.lora_B", "qkv.lora.b"},
                          {"emb.lora_A", "emb.lora.a"},
                          {"emb.lora_B", "emb.lora.b"},
                          {"conv.lora_A", "conv.lora.a"},
                          {"conv.lora_B", "conv.lora.b"},
                          {"*", "*"}}};
  load_weights(*layers, Checkpoint::open(golden.folder / "model.safetensors"), system.names);
  system.call = [layers](const Case& item, const Inputs& in) {
    if (item.mode == "eval") layers->merge();
    return layers->forward(in);
  };
  return system;
}

}  // namespace tessera::parity

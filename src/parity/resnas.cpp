#include "core/taps.h"
#include "encoders/patch_labels.h"
#include "encoders/resnas_supernet.h"
#include "parity/classifier.h"

namespace tessera::parity {
namespace {

Outputs classify(ImageClassifier& model, const Case& item, const Inputs& in) {
  Taps taps(model, {"head", "distillation_head", "encoder.norm"});
  Outputs out;
  auto* labelling = dynamic_cast<PatchLabellingClassifier*>(&model);
  if (labelling && item.outputs.contains("patch_logits"))
    out["patch_logits"] = labelling->label(in.at("x")).patches;
  else
    model.forward(in.at("x"));
  out["cls_logits"] = taps.at("head");
  if (taps.has("distillation_head")) out["dst_logits"] = taps.at("distillation_head");
  if (item.outputs.contains("norm"))  // there the tokens in front alone are normed
    out["norm"] = taps.at("encoder.norm").narrow(1, 0, model.encoder().layout(56, 56).prefix);
  return out;
}

Outputs cost(const Json& a) {
  const ResnasCost cost =
      cost_of(read_definition(a.at("network_def"), "network_def"), a.at("input_resolution"), 3, a.at("distill"));
  return {{"mac", torch::tensor(cost.macs)}, {"flops", torch::tensor(cost.flops)}};
}

Outputs mixed(const Json& a, const Inputs& in) {
  const auto box = a.at("bbox").get<std::vector<std::vector<int64_t>>>();  // each number twice
  const MixedPictures result =
      mix_patches(in.at("samples"), in.at("targets").flatten(), in.at("perm"),
                  {.top = box[0][0], .bottom = box[1][0], .left = box[2][0], .right = box[3][0]}, a.at("patch_len"),
                  a.at("lam"), a.at("num_classes"), a.at("smoothing"));
  return {{"samples", result.pixels}, {"targets", result.labels}, {"patch_targets", result.patches}};
}

/// The widths of each gene, from the masks of the reference's modules.
std::vector<Tensor> widths_of(const ResnasSupernet& supernet, const Inputs& in) {
  std::vector<Tensor> widths;
  for (const Gene& gene : supernet.space().genes()) {
    const std::string block = "mask:blocks." + std::to_string(gene.layer) + ".";
    const std::string name = gene.kind == Gene::kEmbedding   ? "mask:embed_channel_drop"
                             : gene.kind == Gene::kAttention ? block + "attn.channel_drop_layer"
                             : gene.kind == Gene::kHidden    ? block + "mlp.channel_drop_layer"
                             : gene.kind == Gene::kExists    ? block + "layer_drop"
                                                             : block + "channel_drop";
    widths.push_back(in.at(name).to(torch::kInt64).sum(-1).flatten());
  }
  return widths;
}

Outputs sub_network(const System& system, ImageClassifier& model, const Case& item, const Inputs& in) {
  if (is_packed_away(model.named_parameters()["head.weight"]))
    throw Unsupported("a prepared super-network has no weights to extract");
  const Json& wanted = item.attributes.at("subnet").at("network_def");
  const auto network = extract(model, read_definition(wanted, "subnet"));
  network->eval();
  Outputs out{{"subnet_cls_logits", network->forward(in.at("x"))}, {"masked_cls_logits", model.forward(in.at("x"))}};
  const auto weights = network->named_parameters();
  for (const std::string name : item.attributes.at("show"))
    out["slice:" + name] = weights[system.names.place(name)->path].detach();
  return out;
}

Outputs sorted(const System& system, ResnasSupernet& supernet, const Case& item) {
  supernet.sort_channels();
  const auto weights = system.module->named_parameters();
  Outputs out;
  for (const auto& [name, key] : item.outputs) {
    const std::string part = name.starts_with("fc") ? ".mlp." : ".attn.";
    const auto place = system.names.place("blocks." + item.attributes.at("block").dump() + part + name);
    out[name] = weights[place->path].detach();
  }
  return out;
}

Outputs normed(const Inputs& in) {
  const Tensor mask = in.at("mask").to(torch::kFloat32);
  const bool differentiated = in.contains("grad_output");
  Tensor x = (in.at("x") * mask).requires_grad_(), weight = in.at("weight").requires_grad_(),
         bias = in.at("bias").requires_grad_();
  const torch::AutoGradMode grad(differentiated);
  const Tensor y = masked_layer_norm(x, mask, weight, bias, 1e-6);
  if (!differentiated) return {{"y", y * mask}};
  y.backward(in.at("grad_output"));
  return {{"y", y.detach()}, {"grad_x", x.grad()}, {"grad_weight", weight.grad()}, {"grad_bias", bias.grad()}};
}

Outputs drawn_widths(const Json& a) {
  const auto all = a.at("num_channels_to_keep").get<std::vector<int64_t>>();
  const int64_t usable = usable_widths(static_cast<int64_t>(all.size()), a.at("epoch"), a.at("num_warmup_epochs"));
  const int64_t networks =
      a.at("single_arch") ? 1 : a.at("batch").get<int64_t>() / a.at("example_per_arch").get<int64_t>();
  return {{"kept_channels", torch::tensor(repeated_widths({all.begin(), all.begin() + usable}, networks))},
          {"num_layer_config", torch::tensor(usable)}};
}

Outputs repaired(const Json& a) {
  ResnasDefinition network;
  {  // what a mutation leaves has channels that do not fit together, which a definition that is read must not have
    const Json& list = a.at("network_def");
    network.dim = list[0][1];
    for (const Json& entry : list) {
      if (entry[0] == 1)
        network.layers.push_back(
            {.heads = entry[1][1], .head_dim = entry[1][2], .hidden = entry[2][1], .exists = entry[3] != 0});
      if (entry[0] == 3) network.layers.push_back({.reduces = true, .out = entry[2]});
      if (entry[0] == 2) network.classes = entry[2];
    }
  }
  std::vector<bool> removable;
  const Json& kept = a.at("num_channels_to_keep");
  for (size_t i = 0; i < network.layers.size(); ++i)
    removable.push_back(kept[i + 1].is_object() && !kept[i + 1].at("layer").is_null());
  repair(network, removable);
  std::vector<int64_t> flat;
  for (const Json& number : write_definition(network).flatten()) flat.push_back(number);
  return {{"network_def_flat", torch::tensor(flat)}};
}

System resnas(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  system.call = [model, system](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "compute_mac") return cost(item.attributes);
    if (item.call == "token_mixup") return mixed(item.attributes, in);
    if (item.call.starts_with("masked_layer_norm")) return normed(in);
    if (item.call == "set_mask") return drawn_widths(item.attributes);
    if (item.call == "update_network_def") return repaired(item.attributes);
    if (item.call == "forward") return classify(*model, item, in);
    auto* supernet = dynamic_cast<ResnasSupernet*>(&model->encoder());
    if (!supernet) throw Unsupported("there is no call '" + item.call + "'");
    if (item.call == "rewiring") return sorted(system, *supernet, item);
    supernet->keep(widths_of(*supernet, in));
    return item.call == "sub_network" ? sub_network(system, *model, item, in) : classify(*model, item, in);
  };
  return system;
}

const AdapterRegistration registration("vit-resnas", resnas);

}  // namespace
}  // namespace tessera::parity

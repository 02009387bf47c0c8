#include "encoders/search_space.h"

#include <algorithm>

#include "core/error.h"

namespace tessera {

SearchSpace::SearchSpace(const ResnasDefinition& widest, const Json& kept, const std::string& where)
    : widest_(widest), removable_(widest.layers.size(), false) {
  const size_t entries = 1 + widest.layers.size() + (widest.classes > 0 ? 1 : 0);
  if (!kept.is_array() || kept.size() != entries)
    throw Error("expected a list with an entry for each of the " + std::to_string(entries) + " of network_def", where);
  add(Gene::kEmbedding, 0, kept[0], widest.dim, 1, where + "[0]");
  for (size_t i = 0; i < widest.layers.size(); ++i) {
    const std::string at = where + "[" + std::to_string(i + 1) + "]";
    if (widest.layers[i].reduces)
      add(Gene::kReduction, i, kept[i + 1], widest.layers[i].out, 1, at);
    else if (widest.layers[i].exists)
      read_block(i, kept[i + 1], at);
    else
      throw Error("the widest network leaves no block out", at);
  }
}

void SearchSpace::read_block(size_t layer, const Json& entry, const std::string& where) {
  const ResnasLayer& block = widest_.layers[layer];
  if (!entry.is_object()) throw Error("expected an object with the keys attn, mlp and layer", where);
  detail::check_keys(entry, {"attn", "mlp", "layer"}, where);
  if (const Json exists = entry.value("layer", Json()); !exists.is_null()) {
    removable_[layer] = true;
    add(Gene::kExists, layer, exists, block.dim, 1, where + ".layer");
  }
  add(Gene::kAttention, layer, entry.value("attn", Json()), block.heads * block.head_dim, block.head_dim,
      where + ".attn");
  add(Gene::kHidden, layer, entry.value("mlp", Json()), block.hidden, 1, where + ".mlp");
}

void SearchSpace::add(Gene::Kind kind, size_t layer, const Json& json, int64_t widest, int64_t unit,
                      const std::string& where) {
  Gene gene{kind, layer, {}};
  if (json.is_null())
    gene.widths = {widest};
  else
    detail::read_value(json, gene.widths, where);
  if (gene.widths.empty() || gene.widths.front() != widest)
    throw Error("the first width must be that of the network, " + std::to_string(widest), where);
  for (size_t i = 0; i < gene.widths.size(); ++i) {
    const int64_t width = gene.widths[i];
    if (width > (i > 0 ? gene.widths[i - 1] : widest)) throw Error("lists the widest first", where);
    if (width < (kind == Gene::kExists ? 0 : 1)) throw Error("a width is too small", where);
    if (width % unit != 0) throw Error("keeps whole heads of " + std::to_string(unit) + " channels", where);
    if (kind == Gene::kExists && width != 0 && width != widest)
      throw Error("a block is there with all its channels, or not at all (0)", where);
  }
  genes_.push_back(std::move(gene));
}

ResnasDefinition SearchSpace::network(const std::vector<int64_t>& widths) const {
  ResnasDefinition network = widest_;
  for (size_t i = 0; i < genes_.size(); ++i) {
    if (genes_[i].kind == Gene::kEmbedding) {
      network.dim = widths[i];
      continue;
    }
    ResnasLayer& layer = network.layers[genes_[i].layer];
    if (genes_[i].kind == Gene::kReduction) layer.out = widths[i];
    if (genes_[i].kind == Gene::kAttention) layer.heads = widths[i] / layer.head_dim;
    if (genes_[i].kind == Gene::kHidden) layer.hidden = widths[i];
    if (genes_[i].kind == Gene::kExists) layer.exists = widths[i] > 0;
  }
  repair(network, removable_);
  for (size_t i = 0; i < network.layers.size(); ++i) {
    ResnasLayer& layer = network.layers[i];
    if (!layer.exists) layer.heads = widest_.layers[i].heads, layer.hidden = widest_.layers[i].hidden;
  }
  return network;
}

int64_t SearchSpace::width_in(const Gene& gene, const ResnasDefinition& network) const {
  if (gene.kind == Gene::kEmbedding) return network.dim;
  const ResnasLayer& layer = network.layers[gene.layer];
  if (gene.kind == Gene::kReduction) return layer.out;
  if (gene.kind == Gene::kAttention) return layer.heads * layer.head_dim;
  if (gene.kind == Gene::kHidden) return layer.hidden;
  return layer.exists ? widest_.layers[gene.layer].dim : 0;
}

std::vector<int64_t> SearchSpace::widths(const ResnasDefinition& network) const {
  if (network.layers.size() != widest_.layers.size() || network.middle != widest_.middle)
    throw Error("is no sub-network: it has other layers", "network_def");
  std::vector<int64_t> widths;
  for (const Gene& gene : genes_) {
    widths.push_back(width_in(gene, network));
    if (std::find(gene.widths.begin(), gene.widths.end(), widths.back()) == gene.widths.end())
      throw Error("is no sub-network: " + std::to_string(widths.back()) + " channels are not kept in layer " +
                      std::to_string(gene.layer),
                  "network_def");
  }
  return widths;
}

std::vector<int64_t> SearchSpace::draw(Random& random) const {
  std::vector<int64_t> widths;
  for (const Gene& gene : genes_) widths.push_back(gene.widths[random.below(gene.widths.size())]);
  return widths;
}

}  // namespace tessera

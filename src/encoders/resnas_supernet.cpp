#include "encoders/resnas_supernet.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "layers/attention.h"
#include "layers/norm.h"

namespace tessera {
namespace {

const Registration<Encoder, ResnasSupernet, ResnasSupernetOptions> registration(encoders(), "vit-resnas-supernet");

constexpr double kEps = 1e-6;  // of Resnas's norms
const char* const kMask = "width_mask";

std::string block_path(size_t layer) { return "blocks." + std::to_string(layer); }

/// Not drawn from LibTorch's own generator but seeded by it: its permutations differ between versions.
Random seeded_by_torch() {
  const auto seed = torch::randint(std::numeric_limits<int64_t>::max(), {1}, torch::kInt64).item<int64_t>();
  return Random(static_cast<uint64_t>(seed));
}

}  // namespace

int64_t usable_widths(int64_t widths, int64_t epoch, int64_t warmup_epochs) {
  return warmup_epochs > 0 ? std::min(1 + epoch * (widths - 1) / warmup_epochs, widths) : widths;
}

std::vector<int64_t> repeated_widths(const std::vector<int64_t>& usable, int64_t count) {
  const auto length = static_cast<int64_t>(usable.size());
  std::vector<int64_t> all;
  for (int64_t turn = 0; turn * length < count; ++turn) all.insert(all.end(), usable.begin(), usable.end());
  return all;
}

ResnasSupernet::ResnasSupernet(const ResnasSupernetOptions& options)
    : Resnas(options),
      options_(options),
      space_(definition(), options.num_channels_to_keep, "vit-resnas-supernet: num_channels_to_keep") {
  if (options_.example_per_arch < 1 || options_.num_warmup_epochs < 0)
    throw Error("example_per_arch must be positive, num_warmup_epochs not negative", "vit-resnas-supernet");
  add_masks();
}

template <class T>
std::shared_ptr<T> ResnasSupernet::part(const std::string& path) const {
  const auto parts = named_modules("", /*include_self=*/false);
  return std::dynamic_pointer_cast<T>(parts[path]);
}

void ResnasSupernet::add_masks() {
  const auto parts = named_modules("", /*include_self=*/false);
  const auto put = [&](const std::string& path, std::shared_ptr<WidthMask> mask) {
    torch::nn::Module& layer = path.empty() ? *this : *parts[path];
    add_variation(layer, kMask, mask);
    masks_[path] = std::move(mask);
  };
  put("", std::make_shared<WidthMask>());
  put("norm", std::make_shared<MaskedNorm>(kEps));
  const auto& layers = definition().layers;
  for (size_t i = 0; i < layers.size(); ++i) {
    const std::string path = block_path(i);
    if (layers[i].reduces) {
      put(path, std::make_shared<WidthMask>());
      put(path + ".norm", std::make_shared<MaskedNorm>(kEps));
      continue;
    }
    for (const char* name : {".norm1", ".norm2"}) put(path + name, std::make_shared<MaskedNorm>(kEps));
    for (const char* name : {".attention.proj", ".ffn.up", ".ffn.down"})
      put(path + name, std::make_shared<WidthMask>());
    // A head whose values are zero adds nothing, so that the mask of what attention gives may stand on them.
    auto values = std::make_shared<WidthMask>();
    values->rows = layers[i].heads * layers[i].head_dim, values->begin = 2 * values->rows;
    put(path + ".attention.qkv", values);
  }
}

void ResnasSupernet::set_mask(const std::string& path, const Tensor& mask) { masks_.at(path)->mask = mask; }

void ResnasSupernet::keep_block(size_t layer, const Tensor& tokens, const Tensor& attention, const Tensor& hidden,
                                const Tensor& exists) {
  const std::string path = block_path(layer);
  for (const char* name : {".norm1", ".norm2"}) set_mask(path + name, tokens);
  for (const char* name : {".attention.proj", ".ffn.down"})
    set_mask(path + name, exists.defined() ? tokens * exists : tokens);
  set_mask(path + ".attention.qkv", attention);
  set_mask(path + ".ffn.up", hidden);
}

void ResnasSupernet::keep(const std::vector<Tensor>& widths) {
  const auto& genes = space_.genes();
  const auto& layers = definition().layers;
  if (widths.size() != genes.size())
    throw Error("a width is needed for each of the " + std::to_string(genes.size()) + " genes", "super-network");
  std::map<std::pair<size_t, Gene::Kind>, Tensor> of;
  for (size_t i = 0; i < genes.size(); ++i) of[{genes[i].layer, genes[i].kind}] = widths[i];
  Tensor tokens = prefix_mask(widths[0], definition().dim), exists;  // B x 1 x C, B x 1 x 1
  set_mask("", tokens);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].reduces) {
      set_mask(block_path(i) + ".norm", tokens);
      tokens = prefix_mask(of.at({i, Gene::kReduction}), layers[i].out), exists = Tensor();
      set_mask(block_path(i), tokens);
      continue;
    }
    const auto there = of.find({i, Gene::kExists});
    if (there == of.end()) {
      exists = Tensor();
    } else {  // a block behind one that is left out is left out, too
      const Tensor own = there->second.gt(0).to(torch::kFloat32).view({-1, 1, 1});
      exists = exists.defined() ? exists * own : own;
    }
    keep_block(i, tokens, prefix_mask(of.at({i, Gene::kAttention}), layers[i].heads * layers[i].head_dim),
               prefix_mask(of.at({i, Gene::kHidden}), layers[i].hidden), exists);
  }
  set_mask("norm", tokens);
  kept_ = true;
}

void ResnasSupernet::keep_all() {
  for (const auto& [path, mask] : masks_) mask->mask = Tensor();
  kept_ = false;
}

std::vector<Tensor> ResnasSupernet::draw(int64_t batch) const {
  Random random = seeded_by_torch();
  const int64_t group = options_.single_arch ? batch : options_.example_per_arch,
                networks = (batch + group - 1) / group;
  std::vector<Tensor> widths;
  for (const Gene& gene : space_.genes()) {
    const auto all = static_cast<int64_t>(gene.widths.size());
    const int64_t usable = usable_widths(all, epoch, options_.num_warmup_epochs);
    const auto list = repeated_widths({gene.widths.begin(), gene.widths.begin() + usable}, networks);
    const auto order = random.permutation(static_cast<int64_t>(list.size()));
    std::vector<int64_t> of_examples;
    for (int64_t i = 0; i < batch; ++i)
      of_examples.push_back(list[static_cast<size_t>(order[static_cast<size_t>(i / group)])]);
    widths.push_back(torch::tensor(of_examples, torch::kInt64));
  }
  return widths;
}

Tokens ResnasSupernet::forward(const Tensor& pixels) {
  if (kept_ || !is_training()) return Resnas::forward(pixels);
  keep(draw(pixels.size(0)));
  const Tokens tokens = Resnas::forward(pixels);
  keep_all();
  return tokens;
}

namespace {

/// The order of the parts whose importances these are, the most important first.
Tensor by_importance(const Tensor& importance) { return importance.argsort(/*stable=*/true, 0, /*descending=*/true); }

void sort_heads(Linear& qkv, Linear& proj, int64_t heads, int64_t head_dim) {
  const std::vector<int64_t> shape = {3, heads, head_dim, -1};
  const Tensor weight = qkv.weight.view(shape), bias = qkv.bias.view(shape);
  const Tensor columns = proj.weight.view({-1, heads, head_dim});
  const Tensor order =
      by_importance(weight.abs().sum({0, 2, 3}) + bias.abs().sum({0, 2, 3}) + columns.abs().sum(0).sum(1));
  qkv.weight.copy_(weight.index_select(1, order).view_as(qkv.weight));
  qkv.bias.copy_(bias.index_select(1, order).view_as(qkv.bias));
  proj.weight.copy_(columns.index_select(1, order).view_as(proj.weight));
}

void sort_hidden(Linear& up, Linear& down) {
  const Tensor order = by_importance(up.weight.abs().sum(1) + up.bias.abs() + down.weight.abs().sum(0));
  up.weight.copy_(up.weight.index_select(0, order));
  up.bias.copy_(up.bias.index_select(0, order));
  down.weight.copy_(down.weight.index_select(1, order));
}

}  // namespace

void ResnasSupernet::sort_channels() {
  const torch::NoGradGuard no_grad;
  const auto& layers = definition().layers;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].reduces) continue;
    const std::string path = block_path(i);
    sort_heads(*part<Linear>(path + ".attention.qkv"), *part<Linear>(path + ".attention.proj"), layers[i].heads,
               layers[i].head_dim);
    sort_hidden(*part<Linear>(path + ".ffn.up"), *part<Linear>(path + ".ffn.down"));
  }
}

namespace {

/// The first elements of `whole` along every axis, as many as `like` has.
Tensor corner(const Tensor& whole, const Tensor& like) {
  Tensor part = whole;
  for (int64_t axis = 0; axis < like.dim(); ++axis) part = part.narrow(axis, 0, like.size(axis));
  return part;
}

/// The same of queries, keys and values, each by itself.
Tensor corner_of_qkv(const Tensor& whole, const Tensor& like) {
  std::vector<Tensor> parts;
  const auto from = whole.chunk(3), to = like.chunk(3);
  for (size_t i = 0; i < 3; ++i) parts.push_back(corner(from[i], to[i]));
  return torch::cat(parts);
}

}  // namespace

std::shared_ptr<ImageClassifier> extract(ImageClassifier& supernet, const ResnasDefinition& network) {
  auto* encoder = dynamic_cast<ResnasSupernet*>(&supernet.encoder());
  if (!encoder) throw Error("has no super-network to extract from", "vit-resnas");
  encoder->space().widths(network);  // refuses what is no sub-network
  ResnasOptions options = encoder->options();
  options.network_def = write_definition(network);
  Json json = write_options(options);
  json["kind"] = "vit-resnas";
  const torch::NoGradGuard no_grad;
  const auto weights = supernet.named_parameters();
  const auto buffers = supernet.named_buffers();
  if (is_packed_away(weights["head.weight"]))
    throw Error("is prepared for inference, and its weights are gone", "super-network", "load it anew");
  auto model = std::make_shared<ImageClassifier>(
      ImageClassifierOptions{.encoder = json,
                             .distillation = weights.contains("distillation_head.weight"),
                             .classes = weights["head.bias"].size(0),
                             .labels = supernet.labels});
  for (auto& item : model->named_parameters()) {
    const bool qkv = item.key().find(".attention.qkv.") != std::string::npos;
    item.value().copy_((qkv ? corner_of_qkv : corner)(weights[item.key()], item.value()));
  }
  for (auto& item : model->named_buffers()) item.value().copy_(corner(buffers[item.key()], item.value()));
  return model;
}

}  // namespace tessera

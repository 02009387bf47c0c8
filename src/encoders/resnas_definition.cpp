#include "encoders/resnas_definition.h"

#include "core/error.h"

namespace tessera {
namespace {

enum Kind : int64_t { kPatches = 0, kBlock = 1, kHead = 2, kReduction = 3, kConvolutions = 4, kFreeConvolutions = 5 };
constexpr int64_t kUsualMiddle = 24;

/// The numbers of an entry, in the order in which they stand; inner lists are opened.
void flatten(const Json& entry, std::vector<int64_t>& numbers, const std::string& where) {
  if (entry.is_boolean()) {
    numbers.push_back(entry.get<bool>() ? 1 : 0);
  } else if (entry.is_array()) {
    for (const Json& inner : entry) flatten(inner, numbers, where);
  } else {
    int64_t number = 0;
    detail::read_value(entry, number, where);
    numbers.push_back(number);
  }
}

void check_length(const std::vector<int64_t>& numbers, size_t length, const std::string& form,
                  const std::string& where) {
  if (numbers.size() != length) throw Error("is not of the form " + form, where);
  for (const int64_t number : numbers)
    if (number < 0) throw Error("a number is negative", where);
}

void check_channels(int64_t given, int64_t before, const std::string& where) {
  if (given != before)
    throw Error("reads " + std::to_string(given) + " channels, but there are " + std::to_string(before), where);
}

void read_embedding(const std::vector<int64_t>& entry, ResnasDefinition& definition, const std::string& where) {
  check_length(entry, entry[0] == kFreeConvolutions ? 3 : 2, "[0, C], [4, C] or [5, C, M]", where);
  definition.dim = entry[1];
  if (entry[0] == kConvolutions) definition.middle = kUsualMiddle;
  if (entry[0] == kFreeConvolutions) definition.middle = entry[2];
  if (definition.dim < 1 || (entry[0] == kFreeConvolutions && definition.middle < 1))
    throw Error("has no channels", where);
}

ResnasLayer read_block(const std::vector<int64_t>& entry, int64_t dim, const std::string& where) {
  check_length(entry, 7, "[1, [C, heads, head dim], [C, hidden], exists]", where);
  check_channels(entry[1], dim, where);
  check_channels(entry[4], dim, where);
  ResnasLayer block{.dim = dim, .heads = entry[2], .head_dim = entry[3], .hidden = entry[5], .exists = entry[6] != 0};
  if (block.exists && (block.heads < 1 || block.head_dim < 1 || block.hidden < 1))
    throw Error("has no heads or no hidden channels", where, "leave the block out with a 0 at its end");
  return block;
}

ResnasLayer read_reduction(const std::vector<int64_t>& entry, int64_t dim, const std::string& where) {
  check_length(entry, 3, "[3, C, D]", where);
  check_channels(entry[1], dim, where);
  if (entry[2] < dim) throw Error("has fewer channels after it than before, which the residual cannot reach", where);
  return {.reduces = true, .dim = dim, .out = entry[2]};
}

}  // namespace

int64_t ResnasDefinition::width() const {
  if (layers.empty()) return dim;
  return layers.back().reduces ? layers.back().out : layers.back().dim;
}

ResnasDefinition read_definition(const Json& json, const std::string& where) {
  if (!json.is_array() || json.empty())
    throw Error("expected a list such as [[0, 16], [1, [16, 2, 8], [16, 32], 1], [3, 16, 24], [2, 24, 10]]", where);
  ResnasDefinition definition;
  for (size_t i = 0; i < json.size(); ++i) {
    const std::string at = where + "[" + std::to_string(i) + "]";
    std::vector<int64_t> entry;
    flatten(json[i], entry, at);
    const int64_t kind = entry.empty() ? -1 : entry[0], dim = definition.width();
    if (i == 0 && (kind == kPatches || kind == kConvolutions || kind == kFreeConvolutions)) {
      read_embedding(entry, definition, at);
    } else if (i > 0 && kind == kBlock) {
      definition.layers.push_back(read_block(entry, dim, at));
    } else if (i > 0 && kind == kReduction) {
      definition.layers.push_back(read_reduction(entry, dim, at));
    } else if (i > 0 && kind == kHead && i + 1 == json.size()) {
      check_length(entry, 3, "[2, C, classes]", at);
      check_channels(entry[1], dim, at);
      definition.classes = entry[2];
    } else {
      throw Error("has the kind " + std::to_string(kind) + ", which cannot stand there", at,
                  "first an embedding (0, 4 or 5), then blocks (1) and reductions (3), at last a head (2)");
    }
  }
  return definition;
}

Json write_definition(const ResnasDefinition& definition) {
  Json list = Json::array();
  if (definition.middle == 0)
    list.push_back({kPatches, definition.dim});
  else if (definition.middle == kUsualMiddle)
    list.push_back({kConvolutions, definition.dim});
  else
    list.push_back({kFreeConvolutions, definition.dim, definition.middle});
  for (const ResnasLayer& layer : definition.layers) {
    if (layer.reduces)
      list.push_back({kReduction, layer.dim, layer.out});
    else
      list.push_back(
          {kBlock, {layer.dim, layer.heads, layer.head_dim}, {layer.dim, layer.hidden}, layer.exists ? 1 : 0});
  }
  if (definition.classes > 0) list.push_back({kHead, definition.width(), definition.classes});
  return list;
}

void repair(ResnasDefinition& definition, const std::vector<bool>& removable) {
  int64_t dim = definition.dim;
  bool removed = false;
  for (size_t i = 0; i < definition.layers.size(); ++i) {
    ResnasLayer& layer = definition.layers[i];
    layer.dim = dim;
    if (layer.reduces) dim = layer.out;
    if (removed && removable[i]) layer.exists = false;
    removed = !layer.reduces && !layer.exists;
  }
}

int64_t patch_extent(const ResnasDefinition& definition, int64_t pixels) {
  return definition.middle > 0 ? (pixels + 1) / 2 / (kResnasPatch / 2) : pixels / kResnasPatch;
}

int64_t reduced_extent(int64_t extent) { return (extent + 1) / 2; }

namespace {

// Operations for one number, as the authors count them.
constexpr int64_t kSoftmax = 5, kNorm = 5, kGelu = 8;

/// `count` products of a vector with a matrix, and a bias each.
ResnasCost linear(int64_t in, int64_t out, int64_t count) { return {in * out * count, (2 * in + 1) * out * count}; }

void operator+=(ResnasCost& sum, const ResnasCost& more) { sum.macs += more.macs, sum.flops += more.flops; }

ResnasCost embedding_cost(const ResnasDefinition& definition, int64_t image, int64_t channels, int64_t patches) {
  const int64_t middle = definition.middle, half = (image + 1) / 2;
  if (middle == 0) return linear(channels * kResnasPatch * kResnasPatch, definition.dim, patches);
  ResnasCost cost = linear(9 * channels, middle, half * half);
  cost += linear(9 * middle, middle, 2 * half * half);
  cost += linear(middle * kResnasPatch * kResnasPatch / 4, definition.dim, patches);
  return cost;
}

ResnasCost block_cost(const ResnasLayer& block, int64_t tokens) {
  const int64_t inner = block.heads * block.head_dim, pairs = tokens * tokens;
  ResnasCost cost{2 * pairs * inner, 4 * pairs * inner + (kSoftmax + 1) * pairs * block.heads};  // + 1: the scale
  cost += linear(block.dim, 3 * inner, tokens);
  cost += linear(inner, block.dim, tokens);
  cost += linear(block.dim, block.hidden, tokens);
  cost += linear(block.hidden, block.dim, tokens);
  cost.flops += tokens * (kGelu * block.hidden + 2 * (kNorm + 1) * block.dim);  // + 1: the residual
  return cost;
}

/// They take the norm as one of the new patches and of the class tokens, and do not count the pooling.
ResnasCost reduction_cost(const ResnasLayer& layer, int64_t patches, int64_t prefix) {
  ResnasCost cost = linear(9 * layer.dim, layer.out, patches);
  cost += linear(layer.dim, layer.out, prefix);
  cost.flops += (kNorm + 1) * (patches * layer.out + prefix * layer.dim);
  return cost;
}

}  // namespace

ResnasCost cost_of(const ResnasDefinition& definition, int64_t image, int64_t channels, bool distillation) {
  const int64_t prefix = distillation ? 2 : 1;
  int64_t extent = patch_extent(definition, image);
  ResnasCost cost = embedding_cost(definition, image, channels, extent * extent);
  cost.flops += definition.dim * (prefix + extent * extent);  // positions
  for (const ResnasLayer& layer : definition.layers) {
    if (layer.reduces) {
      extent = reduced_extent(extent);
      cost += reduction_cost(layer, extent * extent, prefix);
    } else if (layer.exists) {
      cost += block_cost(layer, prefix + extent * extent);
    }
  }
  const int64_t width = definition.width(), classes = definition.classes;
  cost.macs += prefix * width * classes;
  cost.flops +=
      prefix * ((kNorm + 2 * classes) * width + (prefix + extent * extent) * classes);  // a bias for each token
  return cost;
}

}  // namespace tessera

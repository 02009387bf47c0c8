#include "layers/weights.h"

#include <numeric>

#include "core/error.h"
#include "layers/preparable.h"
#include "layers/weight_loader.h"

namespace tessera {
namespace {

/// A view of the part that a place stands for, in the module's layout.
Tensor module_part(const Tensor& whole, const Place& place) {
  if (place.parts == 1) return whole;
  const std::vector<int64_t> shares =
      place.shares.empty() ? std::vector<int64_t>(static_cast<size_t>(place.parts), 1) : place.shares;
  const auto part = shares.begin() + place.part;
  const int64_t rows = whole.size(0) / std::accumulate(shares.begin(), shares.end(), int64_t{0});
  return whole.narrow(0, std::accumulate(shares.begin(), part, int64_t{0}) * rows, *part * rows);
}

}  // namespace

std::map<std::string, Tensor> named_tensors(const Module& module) {
  std::map<std::string, Tensor> tensors;
  for (const auto& item : module.named_parameters())
    if (item.value().defined()) tensors[item.key()] = item.value();
  for (const auto& item : module.named_buffers())
    if (item.value().defined()) tensors[item.key()] = item.value();
  return tensors;
}

StoredTensors load_weights(Module& module, const Checkpoint& checkpoint, const NameTable& names, bool keep_types) {
  WeightLoader loader(module, checkpoint, names, keep_types);
  loader.fill_rest();
  return loader.stored();
}

Tensor published_part(const Tensor& whole, const Place& place) {
  const Tensor part = module_part(whole, place);
  return place.transposed ? part.t() : part;
}

std::vector<std::pair<std::string, Tensor>> published_tensors(Module& module, const NameTable& names,
                                                              const StoredTensors& stored, torch::ScalarType dtype) {
  torch::NoGradGuard no_grad;
  std::vector<std::pair<std::string, Tensor>> result;
  const auto tensors = named_tensors(module);
  for (const auto& [path, tensor] : tensors)
    if (is_packed_away(tensor))
      throw Error("was packed by prepare() and cannot be saved", path, "save the model before it is prepared");
  for (const StoredTensor& item : stored) {
    Tensor value = item.ignored;
    if (!value.defined())
      value = published_part(tensors.at(item.place.path), item.place).to(item.dtype).reshape(item.shape);
    result.emplace_back(item.name, value.contiguous());
  }
  if (!stored.empty()) return result;
  for (const auto& [path, tensor] : tensors) {
    const auto published = names.published(path);
    if (published.empty()) throw std::logic_error("the name table has no name for '" + path + "'");
    for (const auto& [name, place] : published) {
      const Tensor part = published_part(tensor, place);
      result.emplace_back(name, (part.is_floating_point() ? part.to(dtype) : part).contiguous());
    }
  }
  return result;
}

}  // namespace tessera

#include "layers/weights.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/options.h"
#include "core/shape_text.h"
#include "layers/preparable.h"

namespace tessera {
namespace {

/// Files differ in axes of extent one: a table of positions is L x D here and 1 x L x D there.
std::vector<int64_t> without_ones(at::IntArrayRef shape) {
  std::vector<int64_t> kept;
  for (const int64_t extent : shape)
    if (extent != 1) kept.push_back(extent);
  return kept;
}

/// Files may keep the heads as an axis of their own ([in, heads, d] or [heads, d, out]): whether joining neighbouring
/// axes gives the wanted shape.
bool joins_to(at::IntArrayRef stored, at::IntArrayRef wanted) {
  size_t axis = 0;
  for (const int64_t extent : wanted) {
    int64_t product = 1;
    while (axis < stored.size() && product < extent) product *= stored[axis++];
    if (product != extent) return false;
  }
  return axis == stored.size() && stored.size() > wanted.size();
}

std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(names.size(), 5); ++i) text += (i ? ", '" : "'") + names[i] + "'";
  if (names.size() > 5) text += " and " + std::to_string(names.size() - 5) + " more";
  return text;
}

/// A view of the part that a place stands for, in the module's layout.
Tensor module_part(const Tensor& whole, const Place& place) {
  if (place.parts == 1) return whole;
  const std::vector<int64_t> shares =
      place.shares.empty() ? std::vector<int64_t>(static_cast<size_t>(place.parts), 1) : place.shares;
  const auto part = shares.begin() + place.part;
  const int64_t rows = whole.size(0) / std::accumulate(shares.begin(), shares.end(), int64_t{0});
  return whole.narrow(0, std::accumulate(shares.begin(), part, int64_t{0}) * rows, *part * rows);
}

class Loader {
 public:
  Loader(Module& module, const Checkpoint& checkpoint, const NameTable& names, bool keep_types)
      : checkpoint_(checkpoint), names_(names), keep_types_(keep_types), targets_(named_tensors(module)) {}

  StoredTensors run() {
    torch::NoGradGuard no_grad;
    for (const auto& [name, info] : checkpoint_.tensors()) take(name, info);
    if (!unknown_.empty()) refuse_unknown();
    refuse_missing();
    return std::move(stored_);
  }

 private:
  void take(const std::string& name, const TensorInfo& info) {
    const auto place = names_.place(name);
    if (!place || (!place->path.empty() && !targets_.contains(place->path))) {
      unknown_.push_back(name);
      return;
    }
    StoredTensor stored{name, info.dtype, info.shape, *place, {}};
    if (place->path.empty())
      stored.ignored = checkpoint_.tensor(name);
    else
      fill(name, *place);
    stored_.push_back(std::move(stored));
  }

  void fill(const std::string& name, const Place& place) {
    Tensor& target = targets_.at(place.path);
    Tensor source = checkpoint_.tensor(name);
    const bool keeps = keep_types_ && !filled_.contains(place.path) && source.is_floating_point();
    if (keeps && target.is_floating_point() && target.scalar_type() != source.scalar_type())
      target.set_data(torch::empty_like(target, source.scalar_type()));
    Tensor part = module_part(target, place);
    const Tensor published = published_part(target, place);
    if (joins_to(source.sizes(), published.sizes())) source = source.reshape(published.sizes());
    if (place.transposed) source = source.t();
    if (without_ones(source.sizes()) == without_ones(part.sizes())) source = source.reshape(part.sizes());
    if (source.sizes() != part.sizes())
      throw Error("tensor '" + name + "' has shape " + shape_text(source.sizes()) + ", the config asks for " +
                      shape_text(part.sizes()),
                  checkpoint_.path().string(), "the weights and the config do not belong together");
    if (!filled_[place.path].insert(place.part).second) {
      // A second name of the same tensor: tied weights stored twice must be equal.
      if (!torch::equal(part, source.to(part.scalar_type())))
        throw Error("tensor '" + name + "' differs from the tensor that it is tied to", checkpoint_.path().string(),
                    "untied copies are not supported by this model");
      return;
    }
    const bool mappable = place.parts == 1 && source.scalar_type() == target.scalar_type() && source.is_contiguous();
    mappable ? target.set_data(source) : void(part.copy_(source));
  }

  [[noreturn]] void refuse_unknown() const {
    std::vector<std::string> missing;
    for (const auto& [path, tensor] : targets_)
      if (!filled_.contains(path))
        for (const auto& [name, place] : names_.published(path)) missing.push_back(name);
    const std::string near = missing.empty() ? "" : nearest(unknown_.front(), missing);
    throw Error("surplus tensors that the model has no place for: " + some_of(unknown_), checkpoint_.path().string(),
                near.empty() ? "the weights and the config do not belong together" : "'" + near + "' is missing");
  }

  void refuse_missing() const {
    std::vector<std::string> missing;
    for (const auto& [path, tensor] : targets_) {
      const auto found = filled_.find(path);
      auto published = names_.published(path);
      if (published.empty()) published.emplace_back(path, Place{path});
      for (const auto& [name, place] : published)
        if (found == filled_.end() || !found->second.contains(place.part)) missing.push_back(name);
    }
    if (!missing.empty())
      throw Error("missing tensors: " + some_of(missing), checkpoint_.path().string(),
                  "the weights and the config do not belong together");
  }

  const Checkpoint& checkpoint_;
  const NameTable& names_;
  bool keep_types_;
  std::map<std::string, Tensor> targets_;
  std::map<std::string, std::set<int64_t>> filled_;
  std::vector<std::string> unknown_;
  StoredTensors stored_;
};

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
  return Loader(module, checkpoint, names, keep_types).run();
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

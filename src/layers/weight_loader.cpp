#include "layers/weight_loader.h"

#include <algorithm>

#include "core/error.h"
#include "core/options.h"
#include "core/shape_text.h"

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

/// A view of what a place stands for, in the module's layout.
Tensor module_part(const Tensor& whole, const Place& place) {
  const Tensor published = published_part(whole, place);
  return place.transposed ? published.t() : published;
}

std::string part_of(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

}  // namespace

WeightLoader::WeightLoader(Module& module, const Checkpoint& checkpoint, const NameTable& names, bool keep_types)
    : checkpoint_(checkpoint), names_(names), keep_types_(keep_types), targets_(named_tensors(module)) {
  for (const auto& [path, tensor] : targets_) of_part_[part_of(path)].push_back(path);
  plan();
  refuse_missing();
}

void WeightLoader::plan() {
  std::vector<std::string> unknown;
  for (const auto& [name, info] : checkpoint_.tensors()) {
    const auto place = names_.place(name);
    if (!place || (!place->path.empty() && !targets_.contains(place->path))) {
      unknown.push_back(name);
      continue;
    }
    StoredTensor stored{name, info.dtype, info.shape, *place, {}};
    if (place->path.empty())
      stored.ignored = checkpoint_.tensor(name);
    else
      sources_[place->path].push_back({name, *place});
    stored_.push_back(std::move(stored));
  }
  if (!unknown.empty()) refuse_unknown(unknown);
}

void WeightLoader::refuse_unknown(const std::vector<std::string>& unknown) const {
  std::vector<std::string> missing;
  for (const auto& [path, tensor] : targets_)
    if (!sources_.contains(path))
      for (const auto& [name, place] : names_.published(path)) missing.push_back(name);
  const std::string near = missing.empty() ? "" : nearest(unknown.front(), missing);
  throw Error("surplus tensors that the model has no place for: " + some_of(unknown), checkpoint_.path().string(),
              near.empty() ? "the weights and the config do not belong together" : "'" + near + "' is missing");
}

void WeightLoader::refuse_missing() const {
  std::vector<std::string> missing;
  for (const auto& [path, tensor] : targets_) {
    std::set<int64_t> there;
    if (const auto found = sources_.find(path); found != sources_.end())
      for (const Source& source : found->second) there.insert(source.place.part);
    auto published = names_.published(path);
    if (published.empty()) published.emplace_back(path, Place{path});
    for (const auto& [name, place] : published)
      if (!there.contains(place.part)) missing.push_back(name);
  }
  if (!missing.empty())
    throw Error("missing tensors: " + some_of(missing), checkpoint_.path().string(),
                "the weights and the config do not belong together");
}

void WeightLoader::fill(const std::string& part) {
  const torch::NoGradGuard no_gradient;
  if (const auto found = of_part_.find(part); found != of_part_.end())
    for (const std::string& path : found->second) fill_tensor(path);
}

void WeightLoader::fill_rest() {
  for (const auto& [part, paths] : of_part_) fill(part);
}

std::vector<MemoryRange> WeightLoader::pages(const std::string& part) const {
  std::vector<MemoryRange> all;
  const auto found = of_part_.find(part);
  if (found == of_part_.end()) return all;
  for (const std::string& path : found->second)
    for (const Source& source : sources_.at(path)) all.push_back(pages_of(source));
  return all;
}

MemoryRange WeightLoader::pages_of(const Source& source) const {
  const TensorInfo& info = checkpoint_.tensors().at(source.name);
  const bool is_mapped = info.begin % c10::elementSize(info.dtype) == 0;  // else it is a copy
  return {checkpoint_.tensor(source.name).data_ptr(), is_mapped ? info.bytes : 0};
}

void WeightLoader::fill_tensor(const std::string& path) {
  if (!filled_.insert(path).second) return;
  std::set<int64_t> there;
  for (const Source& source : sources_.at(path))
    if (there.insert(source.place.part).second)
      fill_from(source, targets_.at(path), there.size() == 1);
    else
      compare(source, targets_.at(path));
}

void WeightLoader::fill_from(const Source& source, Tensor& target, bool is_first) const {
  const torch::ScalarType type = checkpoint_.tensors().at(source.name).dtype;
  const bool keeps = keep_types_ && is_first && at::isFloatingType(type) && target.is_floating_point();
  if (keeps && target.scalar_type() != type) target.set_data(torch::empty_like(target, type));
  Tensor part = module_part(target, source.place);
  const Tensor numbers = fitted(source, target);
  const bool mappable = source.place.parts == 1 && type == target.scalar_type() && numbers.is_contiguous();
  if (mappable) return target.set_data(numbers);
  part.copy_(numbers);
  give_back_pages(pages_of(source));
}

/// A second name of the same tensor: tied weights stored twice must be equal.
void WeightLoader::compare(const Source& source, const Tensor& target) const {
  const Tensor numbers = fitted(source, target);
  if (!torch::equal(module_part(target, source.place), numbers.to(target.scalar_type())))
    throw Error("tensor '" + source.name + "' differs from the tensor that it is tied to", checkpoint_.path().string(),
                "untied copies are not supported by this model");
  give_back_pages(pages_of(source));
}

Tensor WeightLoader::fitted(const Source& source, const Tensor& target) const {
  Tensor numbers = checkpoint_.tensor(source.name);
  const Tensor published = published_part(target, source.place), part = module_part(target, source.place);
  if (joins_to(numbers.sizes(), published.sizes())) numbers = numbers.reshape(published.sizes());
  if (source.place.transposed) numbers = numbers.t();
  if (without_ones(numbers.sizes()) == without_ones(part.sizes())) numbers = numbers.reshape(part.sizes());
  if (numbers.sizes() != part.sizes())
    throw Error("tensor '" + source.name + "' has shape " + shape_text(numbers.sizes()) + ", the config asks for " +
                    shape_text(part.sizes()),
                checkpoint_.path().string(), "the weights and the config do not belong together");
  return numbers;
}

}  // namespace tessera

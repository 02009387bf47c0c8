#pragma once
#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/taps.h"

namespace tessera {

using torch::Tensor;

/// The base of all parts: LibTorch's module, so that parameters, devices, train() and eval() are as every user knows
/// them.
class Module : public torch::nn::Module {
 protected:
  /// Makes a child, registers it as `name` and returns it.
  template <class T, class... Args>
  std::shared_ptr<T> add(const std::string& name, Args&&... args) {
    return register_module(name, std::make_shared<T>(std::forward<Args>(args)...));
  }
  /// A parameter drawn from a normal distribution of this deviation, cut at two deviations; 0: zeros.
  Tensor weight(const std::string& name, at::IntArrayRef shape, double deviation = 0.02);
  Tensor ones(const std::string& name, at::IntArrayRef shape) { return register_parameter(name, torch::ones(shape)); }
};

/// A numbered list of parts, registered as "0", "1", ...
template <class T>
class ModuleList : public Module {
 public:
  template <class... Args>
  std::shared_ptr<T> append(Args&&... args) {
    return append(std::make_shared<T>(std::forward<Args>(args)...));
  }
  std::shared_ptr<T> append(std::shared_ptr<T> item) {
    items_.push_back(this->register_module(std::to_string(items_.size()), std::move(item)));
    return items_.back();
  }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }
  size_t size() const { return items_.size(); }
  T& operator[](size_t i) const { return *items_[i]; }

 private:
  std::vector<std::shared_ptr<T>> items_;
};

}  // namespace tessera

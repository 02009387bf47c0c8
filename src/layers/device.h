#pragma once
#include <torch/nn/module.h>
#include <torch/types.h>

#include <mutex>
#include <string>

#include "core/text_batch.h"

namespace tessera {

/// "cpu", "cuda" (the first GPU) or "cuda:N".
/// @param where  what gave the name, for the message
/// @throws Error for another name, for a LibTorch without CUDA, where there is no such GPU, and for one while
///         --max-memory limits what the CPU holds
torch::Device device_named(const std::string& name, const std::string& where);

/// Where the weights of a model lie. What enters a model (pixels, ids, masks) is moved there; layers make their tensors
/// where their inputs are.
torch::Device device_of(const torch::nn::Module& model);

/// Numbers that a layer computes for itself, neither parameter nor buffer, wherever they are read: on another device
/// than the CPU they are copied once.
class DeviceTable {
 public:
  explicit DeviceTable(torch::Tensor numbers) : numbers_(std::move(numbers)) {}
  torch::Tensor on(torch::Device device) const;

 private:
  torch::Tensor numbers_;
  mutable std::mutex mutex_;
  mutable torch::Tensor copy_;
};

/// All three there; undefined ones stay so.
TextBatch moved(const TextBatch& text, torch::Device device);

/// x there; undefined where it is.
inline torch::Tensor moved(const torch::Tensor& x, torch::Device device) { return x.defined() ? x.to(device) : x; }

}  // namespace tessera

#pragma once
#include <functional>

#include "io/name_table.h"
#include "layers/variation.h"
#include "tune/peft_file.h"

namespace tessera {

/// LoRA, DoRA, (IA)3 or bottleneck adapters on a model: variations of those of its layers that PEFT's rules select by
/// their published paths. A part of a fused tensor, such as the queries of an attention, is varied by itself.
///
/// The model's own parameters keep every byte: an adapter that is detached or unmerged leaves no trace. Several
/// adapters with different names may be attached at once; those that are active add up.
class Adapter {
 public:
  /// With first values that change nothing (LoRA's B is zero, factors are one).
  /// @param names  published names <-> module names
  /// @param name   letters, digits and "_"
  /// @throws Error when no module is selected, or one that cannot be varied
  static Adapter attach(torch::nn::Module& model, const NameTable& names, const PeftConfig& config,
                        const std::string& name = "default");

  /// Attaches what a PEFT folder (adapter_config.json, adapter_model.safetensors) holds.
  /// @throws Error naming the tensors when it was made for another model
  static Adapter load(torch::nn::Module& model, const NameTable& names, const std::filesystem::path& folder,
                      const std::string& name = "default");

  /// Writes a PEFT folder. What was loaded and not changed is written to the same bytes.
  void save(const std::filesystem::path& folder) const;

  /// Takes the variations off the model again (unmerged first). The adapter can still be saved.
  void detach();
  /// An adapter that is not active changes nothing.
  void activate(bool active);
  /// Puts the change into the model's own parameters, so that it costs no time, and keeps a copy of what was there.
  /// @throws Error for bottleneck adapters
  void merge();
  /// The same without a way back: nothing is kept of what was there, and the adapter comes off the model.
  /// @throws Error for bottleneck adapters
  void merge_for_good();
  /// Puts back the bytes that merge() replaced.
  /// @throws Error when the parameters changed since: what was merged later is unmerged first
  void unmerge();
  bool is_merged() const { return !replaced_.empty(); }

  /// From now on only the adapter's parameters take gradients; detach() undoes it.
  void train_only();
  std::vector<Tensor> parameters() const;

  /// The tensors of adapter_model.safetensors, by name.
  const PeftTensors& tensors() const { return tensors_; }
  const PeftConfig& config() const { return config_; }

 private:
  /// One selected module.
  struct Site {
    torch::nn::Module* layer;
    std::string child;  // the variation's name on the layer
    LayerWeights part;  // what the variation changes
    std::shared_ptr<Variation> variation;
  };

  Adapter(torch::nn::Module& model, PeftConfig config, const std::string& name);
  void attach_all(const NameTable& names);
  void attach_to(const std::string& published, const Place& place, torch::nn::Module& layer);
  /// Calls for each parameter with what it becomes when the adapter is merged, one after the other.
  void put_in(const std::function<void(const Tensor& parameter, const Tensor& value)>& replace);
  /// True for a bias that was not learned.
  bool is_unchanged_bias(const std::string& name) const;

  torch::nn::Module* model_;
  PeftConfig config_;
  std::string name_;
  PeftFile file_;
  std::vector<Site> sites_;
  PeftTensors tensors_;
  /// What merge() replaced.
  struct Replaced {
    Tensor parameter, before;
    size_t after;  // fingerprint of what merge() left
  };
  std::vector<Replaced> replaced_;
  std::vector<std::pair<Tensor, bool>> trained_;  // what train_only() found
  std::map<std::string, Tensor> biases_;          // the layers' own, by the names of the learned ones
};

}  // namespace tessera

#pragma once
#include <torch/nn/module.h>
#include <torch/types.h>

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace tessera {

/// A request for intermediate results by module path: "blocks.3" is the output of that module,
/// "blocks.3.attention.weights" a result that it names. While a Taps lives it is active on the thread that made it;
/// modules report with tap().
///
///   Taps taps(*model, {"blocks.3", "blocks.3.attention.weights"});
///   model->forward(pixels);
///   torch::Tensor weights = taps.at("blocks.3.attention.weights");
///
/// Explanations, distillation, exits and the reference checks all read taps; no model has special outputs for them.
/// A module that runs several times leaves its last result. The graph is kept: what is tapped can be differentiated.
class Taps {
 public:
  /// @param root   the module whose paths are meant
  /// @param paths  the wanted results; {"*"} asks for all
  Taps(const torch::nn::Module& root, const std::vector<std::string>& paths);
  ~Taps();
  Taps(const Taps&) = delete;
  Taps& operator=(const Taps&) = delete;

  bool has(const std::string& path) const { return results_.contains(path); }
  /// @throws Error naming the nearest path when nothing was recorded there
  const torch::Tensor& at(const std::string& path) const;
  const std::map<std::string, torch::Tensor>& all() const { return results_; }

  /// True when some active Taps asks for this result: a module with a faster path that does not make it must take the
  /// other.
  static bool wanted(const torch::nn::Module& module, const char* what);

 private:
  friend torch::Tensor tap(const torch::nn::Module&, torch::Tensor, const char*);
  std::string path_of(const torch::nn::Module& module, const char* what) const;
  bool asks_for(const std::string& path) const { return everything_ || paths_.contains(path); }

  std::unordered_map<const torch::nn::Module*, std::string> modules_;
  std::set<std::string> paths_;
  bool everything_ = false;
  std::map<std::string, torch::Tensor> results_;
  Taps* outer_;
};

/// Reports `value` as the output of `module` (or as its result `what`) to the active taps, and returns it.
torch::Tensor tap(const torch::nn::Module& module, torch::Tensor value, const char* what = "");

}  // namespace tessera

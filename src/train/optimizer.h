#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/options.h"
#include "layers/module.h"

namespace tessera {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// AdamW (Loshchilov and Hutter, 2017).
struct OptimizerOptions {
  double learning_rate = 1e-3;  ///< at the top of the schedule
  double weight_decay = 0.05;   ///< not of vectors and scalars (biases, norms, scales) nor of what no_decay names
  double beta1 = 0.9, beta2 = 0.99, eps = 1e-8;
  double clip = 1;  ///< largest global norm of the gradient; 0: any
  std::vector<std::string> no_decay = {"position", "prefix", "proxies"};  ///< parts of parameter names
  std::map<std::string, double> rates =
      {};  ///< part of a parameter name -> factor of the learning rate; the last that fits
};
TESSERA_OPTIONS(OptimizerOptions, learning_rate, weight_decay, beta1, beta2, eps, clip, no_decay, rates)

void check_optimizer(const OptimizerOptions& options, const std::string& where);

class AdamW {
 public:
  /// @param parameters  with unique names; those that need no gradient are left out
  AdamW(NamedTensors parameters, const OptimizerOptions& options);

  /// Takes one step from the parameters' gradients. @param factor  of the learning rate, from the schedule
  void step(double factor);
  void clear_gradients();

  const NamedTensors& parameters() const { return parameters_; }
  int64_t steps() const { return steps_; }

  /// The moments as "mean.NAME" and "square.NAME"; with steps(), all that a resumed run needs. They share storage, so
  /// that copying into them restores the state.
  NamedTensors state() const;
  void set_steps(int64_t steps) { steps_ = steps; }

 private:
  OptimizerOptions options_;
  NamedTensors parameters_;
  std::vector<Tensor> mean_, square_;
  std::vector<double> decay_, rate_;
  int64_t steps_ = 0;
};

/// Scales the gradients together so that their global norm is at most `largest` (0: leaves them).
/// @return the norm before. @throws Error naming the first parameter whose gradient holds NaN or infinity
double clip_gradients(const NamedTensors& parameters, double largest);

}  // namespace tessera

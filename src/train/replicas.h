#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "fusion/dual_encoder.h"

namespace tessera {

class WorkerPool;

/// A dual encoder whose batches run in parts side by side. On a CPU, two threads that each take half of a small model's
/// batch finish earlier than two threads that share every operation.
///
/// The replicas share the master's weights and have gradients and buffers of their own, which are summed and averaged
/// in a fixed order. As in GradCache (Gao et al., 2021) the features of all parts meet in one loss, whose gradient with
/// respect to them then goes back through each part: the loss contrasts the whole batch.
class Replicas {
 public:
  /// @param make   builds another model of the same options
  /// @param dtype  of matrix products
  Replicas(std::shared_ptr<DualEncoder> master, const std::function<std::shared_ptr<DualEncoder>()>& make,
           int64_t count, torch::ScalarType dtype);
  ~Replicas();

  struct Features {
    Tensor images, texts;  ///< B x D and N x D, float32, leaves that need a gradient
  };
  /// @param pixels  undefined: texts alone
  Features forward(const Tensor& pixels, const TextBatch& texts);
  /// Takes the gradients of the last forward()'s leaves to the master's parameters, where they add up.
  void backward(const Features& features);

 private:
  struct Part {
    std::shared_ptr<DualEncoder> model;
    Tensor images, texts;  // with graph
  };
  void run(const std::function<void(size_t)>& job);
  void sum_gradients();
  void average_buffers();
  void copy_buffers();

  std::vector<Part> parts_;
  std::unique_ptr<WorkerPool> pool_;
  torch::ScalarType dtype_;
};

}  // namespace tessera

// The graphs of CUDA, where LibTorch has it (TESSERA_CUDA in CMakeLists.txt).
#ifdef TESSERA_CUDA
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "core/device_graph.h"

namespace tessera {
namespace {

/// Recorded on a stream of its own, as CUDA asks for, and repeated on the current one, with which the caller's copies
/// are in order.
class CudaGraph : public DeviceGraph {
 public:
  explicit CudaGraph(c10::Device device) : stream_(c10::cuda::getStreamFromPool(false, device.index())) {}

  void run(const std::function<void()>& work) override {
    c10::cuda::getCurrentCUDAStream(stream_.device_index()).synchronize();
    {
      const c10::cuda::CUDAStreamGuard there(stream_);
      work();
    }
    stream_.synchronize();
  }

  void replay() override { graph_->replay(); }

 private:
  void take_down(const std::function<void()>& work) override {
    c10::cuda::getCurrentCUDAStream(stream_.device_index()).synchronize();
    const c10::cuda::CUDAStreamGuard there(stream_);
    graph_ = std::make_unique<at::cuda::CUDAGraph>();
    graph_->capture_begin();
    try {
      work();
    } catch (...) {
      try {
        graph_->capture_end();  // fails, too, and leaves the stream usable
      } catch (const std::exception&) {
      }
      throw;
    }
    graph_->capture_end();
  }

  c10::cuda::CUDAStream stream_;
  std::unique_ptr<at::cuda::CUDAGraph> graph_;
};

[[maybe_unused]] const DeviceGraphMaker before = set_device_graphs(
    c10::kCUDA, [](c10::Device device) -> std::unique_ptr<DeviceGraph> { return std::make_unique<CudaGraph>(device); });

}  // namespace
}  // namespace tessera
#endif

#pragma once
#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace tessera {

/// Work that a device is told once and then repeats on its own (CUDA graphs): the host makes no tensor and asks for no
/// kernel again. What the work reads must lie where it lay, and its results come to the same place each time.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  /// Does the work at once, where record() takes it down: by then libraries must have been used and kernels loaded.
  virtual void run(const std::function<void()>& work) = 0;
  /// Takes the work down without doing it. What it makes lives as long as this.
  /// @throws std::exception where it asks for what cannot be recorded: the host looks at a number, or copies one
  void record(const std::function<void()>& work);
  /// Does what was recorded.
  virtual void replay() = 0;

 private:
  virtual void take_down(const std::function<void()>& work) = 0;
};

/// Whether this thread is recording. What looks at the numbers of a tensor is left out then: there are none yet.
bool is_recording();

/// Null where devices of this kind have none.
std::unique_ptr<DeviceGraph> make_device_graph(c10::Device device);

using DeviceGraphMaker = std::unique_ptr<DeviceGraph> (*)(c10::Device);
/// How graphs of a kind of device are made from now on; null: not at all. @return how they were
DeviceGraphMaker set_device_graphs(c10::DeviceType kind, DeviceGraphMaker make);

}  // namespace tessera

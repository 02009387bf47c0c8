#include "core/device_graph.h"

#include <map>
#include <mutex>
#include <utility>

namespace tessera {
namespace {

thread_local bool recording = false;

struct Makers {
  std::mutex mutex;
  std::map<c10::DeviceType, DeviceGraphMaker> by_kind;
};

Makers& makers() {
  static Makers all;
  return all;
}

/// While it lives, this thread is recording.
class Recording {
 public:
  Recording() { recording = true; }
  ~Recording() { recording = false; }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
};

}  // namespace

bool is_recording() { return recording; }

void DeviceGraph::record(const std::function<void()>& work) {
  const Recording now;
  take_down(work);
}

std::unique_ptr<DeviceGraph> make_device_graph(c10::Device device) {
  const std::lock_guard lock(makers().mutex);
  const DeviceGraphMaker make = makers().by_kind[device.type()];
  return make ? make(device) : nullptr;
}

DeviceGraphMaker set_device_graphs(c10::DeviceType kind, DeviceGraphMaker make) {
  const std::lock_guard lock(makers().mutex);
  return std::exchange(makers().by_kind[kind], make);
}

}  // namespace tessera

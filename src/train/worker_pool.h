#pragma once
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tessera {

/// Threads that stay, each of which runs LibTorch's operations alone.
class WorkerPool {
 public:
  explicit WorkerPool(size_t count);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Calls job(0) ... job(count - 1), each in its own thread, and waits. @throws what the first of them threw
  void run(const std::function<void(size_t)>& job);

 private:
  void work(size_t index);

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::function<void(size_t)>* job_ = nullptr;
  uint64_t round_ = 0;
  size_t busy_ = 0;
  bool stop_ = false;
  std::vector<std::exception_ptr> failures_;
  std::vector<std::thread> threads_;
};

}  // namespace tessera

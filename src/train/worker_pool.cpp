#include "train/worker_pool.h"

#include <ATen/Parallel.h>

#include "core/threads.h"

namespace tessera {

WorkerPool::WorkerPool(size_t count) : busy_(count), failures_(count) {
  for (size_t i = 0; i < count; ++i) threads_.emplace_back([this, i] { work(i); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return busy_ == 0; });
  at::set_num_threads(threads());  // the workers' calls also changed what later threads begin with
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void WorkerPool::run(const std::function<void(size_t)>& job) {
  std::unique_lock lock(mutex_);
  job_ = &job;
  busy_ = threads_.size();
  failures_.assign(threads_.size(), nullptr);
  ++round_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return busy_ == 0; });
  for (const auto& failure : failures_)
    if (failure) std::rethrow_exception(failure);
}

void WorkerPool::work(size_t index) {
  at::get_num_threads();  // makes LibTorch read the common number first; it would later overwrite the thread's own
  at::set_num_threads(1);
  std::unique_lock lock(mutex_);
  uint64_t done = 0;
  if (--busy_ == 0) changed_.notify_all();
  while (true) {
    changed_.wait(lock, [&] { return stop_ || round_ != done; });
    if (stop_) return;
    done = round_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      (*job_)(index);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    failures_[index] = failure;
    if (--busy_ == 0) changed_.notify_all();
  }
}

}  // namespace tessera

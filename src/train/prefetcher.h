#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace tessera {

/// Runs a function of 0, 1, 2, ... ahead of time in threads and gives the results in order.
template <class T>
class Prefetcher {
 public:
  Prefetcher(std::function<T(int64_t)> make, int64_t begin, int64_t end, int64_t workers, int64_t ahead)
      : make_(std::move(make)), next_(begin), wanted_(begin), end_(end), ahead_(ahead) {
    for (int64_t i = 0; i < workers; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next result. @throws what making it threw
  T next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ready_.contains(wanted_) || failed_.contains(wanted_); });
    if (const auto failure = failed_.find(wanted_); failure != failed_.end()) std::rethrow_exception(failure->second);
    T result = std::move(ready_.at(wanted_));
    ready_.erase(wanted_++);
    lock.unlock();
    changed_.notify_all();
    return result;
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stop_ || next_ >= end_ || next_ < wanted_ + ahead_; });
      if (stop_ || next_ >= end_) return;
      const int64_t number = next_++;
      lock.unlock();
      std::optional<T> result;
      std::exception_ptr failure;
      try {
        result = make_(number);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure)
        failed_[number] = failure;
      else
        ready_.emplace(number, std::move(*result));
      changed_.notify_all();
    }
  }

  std::function<T(int64_t)> make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, T> ready_;
  std::map<int64_t, std::exception_ptr> failed_;
  int64_t next_, wanted_, end_, ahead_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tessera

#pragma once
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "train/captions.h"
#include "train/pictures.h"
#include "train/recipe.h"

namespace tessera {

/// What one micro-batch needs.
struct Batch {
  Tensor pixels;    ///< B x 3 x H x W, normalised
  Tensor concepts;  ///< B, int64
  Candidates candidates;
};

/// Makes micro-batches: which pictures, how varied, with which texts. Batch i is a function of the recipe and i alone.
class BatchMaker {
 public:
  /// @param recipe   with steps, not epochs; it must outlive the maker, as all that is given here
  /// @param sources  for each source of the recipe the indices of its pictures
  BatchMaker(const Recipe& recipe, const Pictures& pictures, std::vector<std::vector<int64_t>> sources,
             const Captions& captions);

  Batch make(int64_t number) const;
  /// How its pictures are varied.
  AugmentOptions variation(int64_t number) const;
  /// The pictures of a micro-batch, by index.
  std::vector<int64_t> choose(int64_t number) const;

 private:
  int64_t drawn_before(size_t source, int64_t number) const;
  std::shared_ptr<const std::vector<int64_t>> order_of(size_t source, int64_t pass) const;

  const Recipe& recipe_;
  const Pictures& pictures_;
  std::vector<std::vector<int64_t>> sources_;
  std::vector<double> shares_;        // of a batch, in sum 1
  std::vector<Symmetry> symmetries_;  // per concept
  AugmentOptions start_;              // how pictures are varied in the first step
  const Captions& captions_;
  using Order = std::shared_ptr<const std::vector<int64_t>>;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<size_t, int64_t>, Order> orders_;  // by source and pass: those of late
};

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

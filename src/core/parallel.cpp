#include "core/parallel.h"

#include <ATen/Parallel.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace tessera {
namespace {

#ifdef __SANITIZE_THREAD__
// The sanitizer does not know libgomp's barriers, and would report what they order; it knows when a thread starts and
// ends.
thread_local bool within = false;

bool in_a_team() { return within; }

template <class Work>
void by_threads(int64_t threads, const Work& work) {
  std::vector<std::thread> team;
  for (int64_t i = 0; i < threads; ++i)
    team.emplace_back([&work] {
      within = true;
      work();
    });
  for (std::thread& thread : team) thread.join();
}
#else
bool in_a_team() { return omp_in_parallel() != 0; }

/// Runs the work on so many threads at once; it throws nothing.
template <class Work>
void by_threads(int64_t threads, const Work& work) {
#pragma omp parallel num_threads(static_cast <int>(threads))
  work();
}
#endif

}  // namespace

void in_parallel(int64_t count, const std::function<void(int64_t)>& work) {
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), count);
  if (threads <= 1 || in_a_team()) {
    for (int64_t i = 0; i < count; ++i) work(i);
    return;
  }
  std::atomic<int64_t> next = 0;
  std::exception_ptr thrown;
  std::mutex mutex;
  by_threads(threads, [&] {
    try {
      for (int64_t i = next++; i < count; i = next++) work(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      thrown = std::current_exception();
    }
  });
  if (thrown) std::rethrow_exception(thrown);
}

void in_parallel_by_rows(int64_t rows, const std::function<void(int64_t)>& work) {
  constexpr int64_t kTogether = 8;
  in_parallel((rows + kTogether - 1) / kTogether, [&](int64_t group) {
    const int64_t end = std::min(rows, (group + 1) * kTogether);
    for (int64_t row = group * kTogether; row < end; ++row) work(row);
  });
}

}  // namespace tessera

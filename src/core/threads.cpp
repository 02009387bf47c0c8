#include "core/threads.h"

#include <ATen/Parallel.h>

#include <cstdlib>
#include <string>
#include <thread>

#include "core/error.h"

namespace tessera {
namespace {

int threads_from_environment() {
  const char* text = std::getenv("TESSERA_THREADS");
  if (!text || !*text) return static_cast<int>(std::thread::hardware_concurrency());
  char* end = nullptr;
  const long count = std::strtol(text, &end, 10);
  if (*end || count < 1 || count > 4096)
    throw Error("expected a number of threads, found '" + std::string(text) + "'", "TESSERA_THREADS");
  return static_cast<int>(count);
}

}  // namespace

void use_threads(int count) { at::set_num_threads(count > 0 ? count : std::max(1, threads_from_environment())); }

int threads() { return at::get_num_threads(); }

}  // namespace tessera

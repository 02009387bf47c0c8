#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>

#include "apps/verbs.h"
#include "core/error.h"
#include "core/freed_memory.h"
#include "core/progress.h"
#include "core/threads.h"

namespace tessera::apps {

std::vector<NamedVerb>& verbs() {
  static std::vector<NamedVerb> all;
  return all;
}

namespace {

constexpr int kUserMistake = 2, kOurMistake = 1;

int run(int argc, char** argv) {
  CLI::App program(
      "Tessera: vision-language transformers in C++.\n"
      "Example: tessera classify picture.png --labels \"cat,dog,fish\"",
      "tessera");
  int thread_count = 0;
  program.add_option("--threads", thread_count, "Threads to use (default: TESSERA_THREADS, else all cores)")
      ->check(CLI::PositiveNumber);
  program.add_flag("--quiet", Progress::quiet, "No progress lines");
  program.set_version_flag("--version", TESSERA_VERSION);
  program.require_subcommand(1);
  program.fallthrough();

  std::sort(verbs().begin(), verbs().end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  std::function<int()> chosen;
  for (const NamedVerb& item : verbs()) {
    CLI::App* command = program.add_subcommand(item.name, item.help);
    command->parse_complete_callback([&chosen, action = item.verb(*command)] { chosen = action; });
  }
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = program.exit(error);
    return status == 0 ? 0 : kUserMistake;
  }
  use_threads(thread_count);
  keep_freed_memory();
  return chosen ? chosen() : 0;
}

}  // namespace
}  // namespace tessera::apps

namespace {

/// Ends without the destructors of LibTorch's tables of operators, which take a tenth of a second and free what the
/// system frees anyway.
int finish(int status) {
#ifndef __SANITIZE_ADDRESS__  // which looks for leaks behind them
  std::cout.flush();
  if (std::fflush(nullptr) == 0) std::_Exit(status);
#endif
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return finish(tessera::apps::run(argc, argv));
  } catch (const tessera::Error& error) {
    std::fprintf(stderr, "tessera: %s\n", error.what());
    return finish(tessera::apps::kUserMistake);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "tessera: internal error: %s\n", error.what());
    return finish(tessera::apps::kOurMistake);
  }
}

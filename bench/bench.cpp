#include "bench.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/freed_memory.h"
#include "core/threads.h"

namespace tessera::bench {

namespace {

enum class Form { kTable, kJson, kMarkdown };

void print(const Comparison& line, Form form) {
  if (form == Form::kMarkdown) {
    std::printf("| %s | %s | %.2f %s | %s | %.2f %s | %.2f |\n", line.name.c_str(), line.ours.c_str(), line.ours_value,
                line.unit.c_str(), line.peer.c_str(), line.peer_value, line.unit.c_str(), line.ratio);
  } else if (form == Form::kJson) {
    const nlohmann::json object = {{"name", line.name},
                                   {"ours", line.ours},
                                   {"ours_value", line.ours_value},
                                   {"peer", line.peer},
                                   {"peer_value", line.peer_value},
                                   {"unit", line.unit},
                                   {"ratio", line.ratio}};
    std::printf("%s\n", object.dump().c_str());
  } else {
    std::printf("%-34s %-30s %9.2f %-8s %-36s %9.2f %-8s %6.2f\n", line.name.c_str(), line.ours.c_str(),
                line.ours_value, line.unit.c_str(), line.peer.c_str(), line.peer_value, line.unit.c_str(), line.ratio);
  }
  std::fflush(stdout);
}

struct Part {
  const char* name;
  std::vector<Comparison> (*measure)(int runs);
};
constexpr Part kParts[] = {{"process", process},
                           {"loading", loading},
                           {"encoding", encoding},
                           {"generation", generation},
                           {"vision-language", vision_language},
                           {"prepared", prepared}};

int run(int argc, char** argv) {
  Form form = Form::kTable;
  int runs = 15;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      form = Form::kJson;
    } else if (std::strcmp(argv[i], "--markdown") == 0) {
      form = Form::kMarkdown;
    } else if (std::strcmp(argv[i], "--help") == 0) {
      std::printf("Usage: tessera_bench [--json | --markdown] [--runs COUNT] [--only PART]\n");
      return 0;
    } else if (std::strcmp(argv[i], "--runs") == 0 && i + 1 < argc && std::atoi(argv[i + 1]) > 0) {
      runs = std::atoi(argv[++i]);
    } else if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
      only = argv[++i];
      if (std::none_of(std::begin(kParts), std::end(kParts), [&](const Part& part) { return only == part.name; }))
        throw Error("is no part", only, "choose process, loading, encoding, generation, vision-language or prepared");
    } else {
      throw Error("is no option", argv[i], "use --json, --markdown, --runs COUNT or --only PART");
    }
  }
  use_threads();
  keep_freed_memory();  // as the program does
  if (form == Form::kMarkdown)
    std::printf("| what | this | | compared with | | ratio |\n| --- | --- | ---: | --- | ---: | ---: |\n");
  if (form == Form::kTable)
    std::printf(
        "Ratios of %d interleaved runs on %d threads; above 1 means that the left side is better.\n%-34s %-49s %-54s "
        "%6s\n",
        runs, threads(), "", "this", "compared with", "ratio");
  for (const Part& part : kParts)
    if (only.empty() || only == part.name)
      for (const Comparison& line : part.measure(runs)) print(line, form);
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  try {
    return tessera::bench::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 1;
  }
}

#include "bench.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/threads.h"

namespace tessera::bench {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double milliseconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

namespace {

/// A line of what the kernel says of this process, in MB.
double status_megabytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name)) return std::stod(line.substr(name.size())) / 1024;
  return 0;
}

}  // namespace

double resident_megabytes() { return status_megabytes("VmRSS:"); }

double peak_megabytes(const std::function<void()>& work) {
  ::malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak is counted from here
  const double before = resident_megabytes();
  work();
  return std::max(0.1, status_megabytes("VmHWM:") - before);
}

Pair interleave(int runs, const std::function<void()>& ours, const std::function<void()>& peer) {
  ours(), peer();
  std::vector<double> our_times, peer_times, ratios;
  for (int i = 0; i < runs; ++i) {
    // Who comes first changes, so that neither always finds the other's data in the cache.
    double mine = 0, theirs = 0;
    if (i % 2 == 0) {
      mine = milliseconds(ours), theirs = milliseconds(peer);
    } else {
      theirs = milliseconds(peer), mine = milliseconds(ours);
    }
    our_times.push_back(mine), peer_times.push_back(theirs), ratios.push_back(theirs / mine);
  }
  return {median(our_times), median(peer_times), median(ratios)};
}

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

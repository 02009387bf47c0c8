#include "parity/compare.h"

#include <cstdio>

#include "apps/verbs.h"
#include "layers/device.h"

namespace tessera::apps {
namespace {

struct ParityOptions {
  std::vector<std::filesystem::path> paths;
  std::string prepared, device = "cpu";
  bool json = false, strict = false, markdown = false;
};

/// The rows of the table of what works: one a system.
class MarkdownTable {
 public:
  void add(const parity::GoldenResult& golden) {
    Row& row = rows_[golden.system];
    ++row.variants;
    row.passed += golden.status == "passed";
    for (const auto& item : golden.cases)
      for (const auto& c : item.comparisons) {
        ++row.compared;
        row.absolute = std::max(row.absolute, c.absolute);
      }
  }
  void print() const {
    std::printf(
        "| system | recorded runs that pass | tensors and texts compared | largest absolute error |\n| --- | --- | --- "
        "| --- |\n");
    for (const auto& [system, row] : rows_)
      std::printf("| `%s` | %zu of %zu | %zu | %.1e |\n", system.c_str(), row.passed, row.variants, row.compared,
                  row.absolute);
  }

 private:
  struct Row {
    size_t variants = 0, passed = 0, compared = 0;
    double absolute = 0;
  };
  std::map<std::string, Row> rows_;
};

void print_table(const parity::GoldenResult& golden) {
  std::printf("%s/%s: %s%s%s\n", golden.system.c_str(), golden.variant.c_str(), golden.status.c_str(),
              golden.message.empty() ? "" : ": ", golden.message.c_str());
  for (const auto& item : golden.cases) {
    double absolute = 0, relative = 0;
    size_t compared = 0, skipped = 0;
    for (const auto& c : item.comparisons) {
      if (c.verdict == "not compared") {
        ++skipped;
        continue;
      }
      ++compared;
      absolute = std::max(absolute, c.absolute), relative = std::max(relative, c.relative);
    }
    std::printf("  %-24s %-11s %3zu compared, %zu not  largest error: absolute %.2e, relative %.2e%s%s\n",
                item.name.c_str(), item.status.c_str(), compared, skipped, absolute, relative,
                item.message.empty() ? "" : "  ", item.message.c_str());
    for (const auto& c : item.comparisons)
      if (c.verdict != "equal")
        std::printf("    %s: %s (absolute %.2e, relative %.2e) %s\n", c.name.c_str(), c.verdict.c_str(), c.absolute,
                    c.relative, c.reason.c_str());
  }
}

int run(const ParityOptions& options) {
  size_t passed = 0, failed = 0, unsupported = 0;
  MarkdownTable markdown;
  std::optional<Precision> prepared;
  if (!options.prepared.empty()) prepared = precision_of(options.prepared, "--prepared");
  const torch::Device device = device_named(options.device, "--device");
  for (const auto& folder : parity::find_goldens(options.paths)) {
    const auto result = parity::run_golden(folder, prepared, device);
    ++(result.status == "passed" ? passed : result.status == "failed" ? failed : unsupported);
    if (options.json)
      std::printf("%s\n", parity::to_json(result).dump().c_str());
    else if (options.markdown)
      markdown.add(result);
    else
      print_table(result);
    std::fflush(stdout);
  }
  if (options.markdown) markdown.print();
  if (!options.json && !options.markdown)
    std::printf("%zu passed, %zu failed, %zu unsupported\n", passed, failed, unsupported);
  return failed > 0 || (options.strict && unsupported > 0) ? 1 : 0;
}

const VerbRegistration registration(
    "parity", "Check systems against recorded runs of their reference implementations", [](CLI::App& command) {
      auto options = std::make_shared<ParityOptions>();
      command.add_option("paths", options->paths, "Folders that hold goldens, at any depth")->required();
      command.add_flag("--json", options->json, "One JSON object a line for each golden folder");
      command.add_flag("--markdown", options->markdown, "A table with a row for each system");
      command.add_flag("--strict", options->strict, "Fail also when a golden is not supported");
      command.add_option("--prepared", options->prepared,
                         "Prepare the models in this precision first (float32, bfloat16, int8, ...): outputs alone");
      add_device(command, options->device);
      command.footer("Example: tessera parity tests/goldens --strict");
      return [options] { return run(*options); };
    });

}  // namespace
}  // namespace tessera::apps

#include <cstdio>
#include <map>
#include <optional>

#include "apps/bench.h"
#include "apps/own_process.h"
#include "apps/table.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_log.h"
#include "core/progress.h"
#include "core/threads.h"
#include "tasks/backbones.h"
#include "tasks/inputs.h"
#include "tasks/log_plot.h"

namespace tessera::apps {
namespace {

struct BackboneArguments {
  std::string file = "recipes/backbones/five-million.json", plot, keep;
  std::vector<std::string> only;
  BackboneBenchOptions options;
  bool json = false, markdown = false, here = false;
};

Json to_json(const BackboneCost& cost) {
  Json json = {{"name", cost.name},
               {"parameters", cost.parameters},
               {"one", to_json(cost.one)},
               {"batch", to_json(cost.batch)},
               {"growing", Json::array()},
               {"time_exponent", cost.time_exponent},
               {"memory_exponent", cost.memory_exponent}};
  for (const auto& grown : cost.growing) json["growing"].push_back(to_json(grown));
  return json;
}

std::vector<std::string> cells(const Json& cost) {
  const auto of = [&](const char* pass, const char* value) { return cost.at(pass).at(value).get<double>(); };
  return {cost.at("name"),
          decimals(cost.at("parameters").get<double>() / 1e6, 2),
          decimals(of("one", "flops") / 1e9, 2),
          decimals(1e3 * of("one", "processor_seconds"), 1),
          decimals(1e3 * of("batch", "processor_seconds") / cost.at("batch").at("input").at(0).get<double>(), 1),
          decimals(of("one", "peak_bytes") / 1e6, 0),
          decimals(of("batch", "peak_bytes") / 1e6, 0),
          decimals(cost.at("time_exponent").get<double>(), 2),
          decimals(cost.at("memory_exponent").get<double>(), 2)};
}

Curve curve(const Json& cost, const char* value, double unit) {
  Curve curve{cost.at("name"), {}};
  for (const auto& grown : cost.at("growing"))
    curve.points.emplace_back(grown.at("input").at(2).get<double>(), grown.at(value).get<double>() / unit);
  return curve;
}

std::string plot_of(const std::vector<Json>& costs) {
  LogPlot time{"Time of a picture, of one processor", "pixels of a side", "ms", {}};
  LogPlot memory{"Working memory of a picture", "pixels of a side", "MB", {}};
  for (const auto& cost : costs) {
    time.curves.push_back(curve(cost, "processor_seconds", 1e-3));
    memory.curves.push_back(curve(cost, "peak_bytes", 1e6));
  }
  return draw({time, memory});
}

/// A process for each backbone, so that none works in the memory that another has left.
Json in_own_process(const BackboneArguments& arguments, const std::string& name) {
  const auto& o = arguments.options;
  std::string sides;
  for (const int64_t side : o.sides) sides += (sides.empty() ? "" : ",") + std::to_string(side);
  const std::string line =
      run_again({"--threads", std::to_string(threads()), "bench", "backbones", arguments.file, "--only", name, "--here",
                 "--json", "--sides", sides, "--side", std::to_string(o.side), "--batch", std::to_string(o.batch),
                 "--precision", o.precision});
  return parse_json(line, name);
}

/// What an earlier run has measured and kept. @throws Error where it measured something else
std::map<std::string, Json> kept(const JsonLog& log, const BackboneArguments& arguments) try {
  std::map<std::string, Json> known;
  const auto& o = arguments.options;
  for (const Json& cost : log.lines()) {
    std::vector<int64_t> sides;
    for (const auto& grown : cost.at("growing")) sides.push_back(grown.at("input").at(2));
    if (cost.at("batch").at("input") != Json{o.batch, 3, o.side, o.side} || sides != o.sides)
      throw Error("was measured at other sizes", arguments.keep, "keep what is measured now in another file");
    known[cost.at("name")] = cost;
  }
  if (log.was_torn())
    std::fprintf(stderr, "%s: its last line was not whole; that backbone is measured again\n", arguments.keep.c_str());
  return known;
} catch (const Json::exception&) {
  throw Error("has a line that is no measurement of a backbone", arguments.keep, "keep what is measured in a new file");
}

int bench_backbones(const BackboneArguments& arguments) {
  const auto backbones = read_backbones(arguments.file, arguments.only);
  std::optional<JsonLog> log;
  if (!arguments.keep.empty()) log.emplace(arguments.keep);
  const auto known = log ? kept(*log, arguments) : std::map<std::string, Json>();
  std::vector<Json> costs;
  Progress progress("backbones", static_cast<int64_t>(backbones.size()));
  for (const auto& backbone : backbones) {
    if (const auto before = known.find(backbone.name); before != known.end()) {
      costs.push_back(before->second);
    } else {
      costs.push_back(arguments.here ? to_json(measure_backbone(backbone, arguments.options))
                                     : in_own_process(arguments, backbone.name));
      if (log) log->write(costs.back());
    }
    if (arguments.json) std::printf("%s\n", json_line(costs.back()).c_str());
    progress.step(1, backbone.name);
  }
  progress.finish();
  const std::string batch = std::to_string(arguments.options.batch);
  Table table{.columns = {"backbone", "M parameters", "GFLOP", "ms at 1", "ms at " + batch, "MB at 1", "MB at " + batch,
                          "time ~ pixels^", "memory ~ pixels^"},
              .text_columns = 1,
              .rows = {}};
  for (const auto& cost : costs) table.rows.push_back(cells(cost));
  if (!arguments.json) table.print(arguments.markdown);
  if (!arguments.plot.empty()) write_file(arguments.plot, plot_of(costs));
  finish_output();
  return 0;
}

}  // namespace

std::function<int()> declare_bench_backbones(CLI::App& command) {
  auto arguments = std::make_shared<BackboneArguments>();
  auto& o = arguments->options;
  command.add_option("file", arguments->file, "The backbones, a JSON list")->capture_default_str();
  command.add_option("--only", arguments->only, "Measure only this one, by name; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--sides", o.sides, "Pixels along a side, over which growth is fitted")
      ->delimiter(',')
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--side", o.side, "Pixels along a side for all other columns")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--batch", o.batch, "Pictures of a batch")->check(CLI::PositiveNumber)->capture_default_str();
  add_precision(command, o.precision);
  command.add_option("--keep", arguments->keep,
                     "Write what is measured to this file, and measure what is there no more");
  command.add_option("--plot", arguments->plot, "Draw time and memory over the size, an SVG file");
  command.add_flag("--here", arguments->here, "Measure in this process, not in one for each backbone");
  command.add_flag("--json", arguments->json, "One JSON object a backbone");
  command.add_flag("--markdown", arguments->markdown, "Print a Markdown table");
  command.footer("Example: tessera --threads 1 bench backbones --only ViT --only RMT --plot growth.svg");
  return [arguments] { return bench_backbones(*arguments); };
}

}  // namespace tessera::apps

// Tessera's side of `make bench-peers`; peers/run starts one process for each model and precision, as it does for each
// peer. What it speaks is described in peers/sides.py.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "../bench.h"
#include "../machine.h"
#include "core/error.h"
#include "core/freed_memory.h"
#include "core/threads.h"
#include "rows.h"

namespace tessera::bench {
namespace {

/// What the machine can do: the rate of a large product in each precision, and of reading memory.
/// @param names  of the rows; empty: all
Rows limits(const std::vector<std::string>& names) {
  Rows rows;
  const auto wanted = [&](const std::string& name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  };
  const auto timed = [](auto part) { return Row{[part] { return milliseconds([&] { part->run(); }); }, {}}; };
  for (const char* name : {"float32", "bfloat16", "int8"})
    if (wanted(name)) rows[name] = timed(std::make_shared<ProductRate>(precision_of(name, "bench-peers")));
  if (wanted("read")) rows["read"] = timed(std::make_shared<ReadRate>());
  return rows;
}

void write_numbers(const torch::Tensor& result, const std::string& path) {
  const torch::Tensor numbers = result.to(torch::kFloat32).contiguous();
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(numbers.data_ptr()), static_cast<std::streamsize>(numbers.nbytes()));
  if (!file.flush()) throw Error("cannot be written", path);
}

nlohmann::json answer(const Rows& rows, const nlohmann::json& request) {
  const std::string name = request.at("row");
  if (!rows.contains(name)) throw Error("is no row of this model", name);
  const Row& row = rows.at(name);
  if (request.contains("output")) {
    write_numbers(row.output(), request.at("output"));
    return {{"written", request.at("output")}};
  }
  std::vector<double> values;
  for (int i = 0; i < request.at("runs").get<int>(); ++i) values.push_back(row.measure());
  return {{"values", values}};
}

void say(const nlohmann::json& line) { std::cout << line.dump() << std::endl; }

void answer_all(const Rows& rows, const nlohmann::json& ready) {
  say(ready);
  for (std::string line; std::getline(std::cin, line);) say(answer(rows, nlohmann::json::parse(line)));
}

void serve(const nlohmann::json& settings) {
  use_threads(settings.at("threads"));
  keep_freed_memory();  // as the program does
  const bool training = settings.value("training", false);
  const torch::AutoGradMode gradients(training);
  const std::string purpose = settings.value("purpose", "");
  if (purpose == "start") return answer_all(start_rows(), {{"ready", "Tessera"}});
  if (purpose == "memory") return answer_all(memory_rows(settings), {{"ready", "Tessera"}});
  if (!settings.contains("folder")) {
    nlohmann::json amounts;  // thousands of millions of operations, or of bytes, of one run
    const Rows rows = limits(settings.value("limits", std::vector<std::string>()));
    for (const auto& [name, row] : rows) amounts[name] = name == "read" ? ReadRate::of(1000) : ProductRate::of(1000);
    return answer_all(rows, {{"ready", "the machine"}, {"amounts", amounts}});
  }
  if (training) return answer_all(training_rows(settings), {{"ready", "Tessera"}});
  const Loaded loaded = inference_rows(settings);
  const double amount = loaded.gigabytes * settings.at("steps").get<double>();
  answer_all(loaded.rows, {{"ready", "Tessera"}, {"amount", amount}});
}

}  // namespace
}  // namespace tessera::bench

int main(int argc, char** argv) {
  try {
    if (argc != 2)
      throw tessera::Error("expects its settings as JSON", "bench_side", "it is started by bench/peers/run");
    tessera::bench::serve(nlohmann::json::parse(argv[1]));
    return 0;
  } catch (const std::exception& error) {
    std::cout << nlohmann::json{{"error", error.what()}}.dump() << std::endl;
    return 1;
  }
}

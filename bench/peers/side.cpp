// Tessera's side of `make bench-peers`; peers/run starts one process for each model and precision, as it does for each
// peer. What it speaks is described in peers/sides.py.
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "../bench.h"
#include "../machine.h"
#include "core/error.h"
#include "core/threads.h"
#include "encoders/classifier.h"
#include "io/checkpoint.h"
#include "language/bert.h"
#include "language/language_model.h"
#include "layers/prepare.h"
#include "models/model.h"

namespace tessera::bench {
namespace {

/// What is measured of a model.
struct Row {
  std::function<double()> time;           ///< runs once; milliseconds of what counts
  std::function<torch::Tensor()> output;  ///< what the other sides must agree with; empty: nothing to compare
};
using Rows = std::map<std::string, Row>;

Row row_of(std::function<torch::Tensor()> run) {
  return {[run] { return milliseconds(run); }, run};
}

Rows batches(const std::vector<int64_t>& sizes, const torch::Tensor& input,
             const std::function<torch::Tensor(const torch::Tensor&)>& forward) {
  Rows rows;
  for (const int64_t size : sizes)
    rows["batch-" + std::to_string(size)] = row_of([=] { return forward(input.narrow(0, 0, size)); });
  return rows;
}

/// Some sequences of a language model, which have read `context` tokens and go on for `steps`.
class Decoding {
 public:
  Decoding(LanguageModel& model, const torch::Tensor& ids, int64_t context, int64_t steps)
      : model_(model), ids_(ids), context_(context), steps_(steps), state_(model.start()) {
    model_.hidden({.x = model_.embed(ids_.narrow(1, 0, context_))}, &state_);
  }
  torch::Tensor run() {
    torch::Tensor logits;
    for (int64_t i = 0; i < steps_; ++i)
      logits = model_.logits(model_.hidden({.x = model_.embed(ids_.narrow(1, context_ + i, 1))}, &state_).x);
    return logits.squeeze(1);  // B x vocabulary
  }
  void rewind() { state_.rewind(steps_); }

 private:
  LanguageModel& model_;
  torch::Tensor ids_;
  int64_t context_, steps_;
  LanguageState state_;
};

Row decoding_row(const std::shared_ptr<Decoding>& decoding) {
  return {[decoding] {
            const double ms = milliseconds([&] { decoding->run(); });
            decoding->rewind();
            return ms;
          },
          [decoding] {
            const torch::Tensor logits = decoding->run();
            decoding->rewind();
            return logits;
          }};
}

Rows language_rows(LanguageModel& model, const torch::Tensor& ids, const nlohmann::json& lengths) {
  const int64_t context = lengths.at("context"), steps = lengths.at("steps");
  const auto prefill = [&model, ids] {
    LanguageState state = model.start();
    const torch::Tensor hidden = model.hidden({.x = model.embed(ids.narrow(0, 0, 1))}, &state).x;
    return model.logits(hidden.narrow(1, -1, 1)).squeeze(1);  // 1 x vocabulary
  };
  return {{"prefill", row_of(prefill)},
          {"decode", decoding_row(std::make_shared<Decoding>(model, ids.narrow(0, 0, 1), context, steps))},
          {"decode-many", decoding_row(std::make_shared<Decoding>(model, ids, context, steps))}};
}

Rows rows_of(const Model& model, const Checkpoint& inputs, const nlohmann::json& settings) {
  if (auto* vit = dynamic_cast<ImageClassifier*>(model.module.get()))
    return batches(settings.at("batches"), inputs.tensor("pixels"),
                   [vit](const torch::Tensor& pixels) { return vit->forward(pixels); });
  if (auto* bert = dynamic_cast<MaskedLanguageModel*>(model.module.get()))
    return batches(settings.at("batches"), inputs.tensor("ids"),
                   [bert](const torch::Tensor& ids) { return bert->encoder().forward({.ids = ids}).x; });
  return language_rows(model.as<LanguageModel>("bench-peers"), inputs.tensor("ids"), settings);
}

/// What the machine can do: the rate of a large product in each precision, and of reading memory.
Rows limits() {
  Rows rows;
  const auto timed = [](auto part) { return Row{[part] { return milliseconds([&] { part->run(); }); }, {}}; };
  for (const char* name : {"float32", "bfloat16", "int8"})
    if (PackedLinear::can_compute(precision_of(name, "bench-peers")))
      rows[name] = timed(std::make_shared<ProductRate>(precision_of(name, "bench-peers")));
  rows["read"] = timed(std::make_shared<ReadRate>());
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
  std::vector<double> times;
  for (int i = 0; i < request.at("runs").get<int>(); ++i) times.push_back(row.time());
  return {{"ms", times}};
}

void say(const nlohmann::json& line) { std::cout << line.dump() << std::endl; }

void answer_all(const Rows& rows, const nlohmann::json& ready) {
  say(ready);
  for (std::string line; std::getline(std::cin, line);) say(answer(rows, nlohmann::json::parse(line)));
}

void serve(const nlohmann::json& settings) {
  use_threads(settings.at("threads"));
  const torch::NoGradGuard no_gradient;
  if (!settings.contains("folder")) {
    nlohmann::json amounts;  // thousands of millions of operations, or of bytes, of one run
    const Rows rows = limits();
    for (const auto& [name, row] : rows) amounts[name] = name == "read" ? ReadRate::of(1000) : ProductRate::of(1000);
    return answer_all(rows, {{"ready", "the machine"}, {"amounts", amounts}});
  }
  const std::string folder = settings.at("folder"), precision = settings.at("precision");
  const Model model = load_model(folder);
  if (precision != "unprepared") prepare(*model.module, precision_of(precision, "precision"));
  const Rows rows = rows_of(model, Checkpoint::open(folder + "/inputs.safetensors"), settings);
  answer_all(rows, {{"ready", "Tessera"}});
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

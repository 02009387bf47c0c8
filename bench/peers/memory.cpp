#include <ATen/Parallel.h>
#include <torch/types.h>

#include "../bench.h"
#include "core/process_memory.h"
#include "layers/prepare.h"
#include "rows.h"

namespace tessera::bench {
namespace {

constexpr double kMegabyte = 1 << 20;

/// What every process that computes has: threads, and the code of LibTorch that a product touches.
void touch_libtorch() {
  const torch::Tensor x = torch::randn({256, 256});
  torch::softmax(torch::gelu(x.matmul(x)), -1).sum().item<float>();
}

}  // namespace

Rows memory_rows(const nlohmann::json& settings) {
  touch_libtorch();
  load_inputs(settings);
  give_back_freed_memory();
  const double before = resident_megabytes();
  forget_highest_megabytes();
  const Precision precision = precision_of(settings.at("precision").get<std::string>(), "precision");
  const auto model = std::make_shared<Model>(load_prepared_model(settings.at("folder").get<std::string>(), precision));
  one_answer(model, settings);
  const double peak = highest_megabytes() - before;
  const double weights = static_cast<double>(weight_bytes(*model->module)) / kMegabyte;
  return {{"memory", {[model, peak] { return peak; }, {}}}, {"weights", {[weights] { return weights; }, {}}}};
}

}  // namespace tessera::bench

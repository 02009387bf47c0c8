#include "tasks/backbones.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "encoders/classifier.h"
#include "encoders/encoder.h"
#include "layers/prepare.h"

namespace tessera {

std::vector<Backbone> read_backbones(const std::filesystem::path& file, const std::vector<std::string>& only) {
  const Json json = read_json(file);
  if (!json.is_array() || json.empty()) throw Error("is no list of backbones", file.string());
  std::vector<Backbone> all, chosen;
  std::vector<std::string> names;
  for (size_t i = 0; i < json.size(); ++i) {
    all.push_back(read_options<Backbone>(json[i], file.string() + "[" + std::to_string(i) + "]"));
    names.push_back(all.back().name);
  }
  for (const auto& name : only) check_choice(name, names, file.string());
  for (const auto& backbone : all)
    if (only.empty() || std::find(only.begin(), only.end(), backbone.name) != only.end()) chosen.push_back(backbone);
  return chosen;
}

double training_flops(const Json& model, int64_t size) {
  const auto classifier = make_image_classifier(model, "model");
  classifier->eval();
  const torch::NoGradGuard no_gradient;
  const Tensor pixels = torch::zeros({1, 3, size, size});
  return 3.0 * static_cast<double>(count_flops([&] { classifier->forward(pixels); }));
}

double fitted_exponent(const std::vector<std::pair<double, double>>& points) {
  double count = 0, sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
  for (const auto& [x, y] : points) {
    if (x <= 0 || y <= 0) continue;
    const double u = std::log(x), v = std::log(y);
    ++count, sum_x += u, sum_y += v, sum_xx += u * u, sum_xy += u * v;
  }
  const double spread = count * sum_xx - sum_x * sum_x;
  return spread > 0 ? (count * sum_xy - sum_x * sum_y) / spread : 0;
}

namespace {

double exponent(const std::vector<ForwardCost>& costs, const std::function<double(const ForwardCost&)>& of) {
  std::vector<std::pair<double, double>> points;
  for (const auto& cost : costs) points.emplace_back(cost.input[2] * cost.input[3], of(cost));
  return fitted_exponent(points);
}

}  // namespace

BackboneCost measure_backbone(const Backbone& backbone, const BackboneBenchOptions& options) {
  torch::manual_seed(0);
  const auto encoder = encoders().make(backbone.encoder, backbone.name);
  BackboneCost cost;
  cost.name = backbone.name;
  for (const auto& parameter : encoder->parameters()) cost.parameters += parameter.numel();
  prepare(*encoder, precision_of(options.precision, "precision"));
  const auto measured = [&](int64_t batch, int64_t side) {
    const Tensor pixels = torch::randn({batch, 3, side, side});
    return measure_forward(pixels, [&] { encoder->forward(pixels); });
  };
  measured(1, options.sides.front());  // what is made once, as the threads, belongs to no size
  for (const int64_t side : options.sides) cost.growing.push_back(measured(1, side));
  cost.one = measured(1, options.side);
  cost.batch = measured(options.batch, options.side);
  cost.time_exponent = exponent(cost.growing, [](const ForwardCost& c) { return c.processor_seconds; });
  cost.memory_exponent = exponent(cost.growing, [](const ForwardCost& c) { return static_cast<double>(c.peak_bytes); });
  return cost;
}

}  // namespace tessera

#include "language/published_rotary.h"

#include <cmath>

namespace tessera {
namespace {

/// The factor of DeepSeek's YaRN is a ratio of two, when both are given.
double yarn_amplitude(PublishedConfig& rope, double factor) {
  const double numerator = rope.get<double>("mscale", 0), denominator = rope.get<double>("mscale_all_dim", 0);
  if (numerator == 0 || denominator == 0 || factor <= 1) return 0;
  return (0.1 * numerator * std::log(factor) + 1) / (0.1 * denominator * std::log(factor) + 1);
}

}  // namespace

RotaryOptions read_rotary(PublishedConfig& config, int64_t context) {
  PublishedConfig rope = config.nested(config.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  config.ignore({"rope_parameters", "rope_scaling"});
  RotaryOptions o;
  o.theta = rope.get<double>("rope_theta", config.get<double>("rope_theta", 10000));
  o.fraction = rope.get<double>("partial_rotary_factor", config.get<double>("partial_rotary_factor", 1));
  o.scaling = rope.get<std::string>("rope_type|type", "default");
  if (o.scaling == "su") o.scaling = "longrope";  // its name in the first Phi-3 files
  const int64_t original = config.get<int64_t>("original_max_position_embeddings", 0);
  o.original_length = rope.get<int64_t>("original_max_position_embeddings", original > 0 ? original : context);
  if (o.original_length < 1) throw Error("expected a positive length", rope.where());
  o.factor = rope.get<double>("factor", static_cast<double>(context) / static_cast<double>(o.original_length));
  if (o.scaling == "dynamic") o.original_length = context;
  o.low_frequency = rope.get<double>("low_freq_factor", o.low_frequency);
  o.high_frequency = rope.get<double>("high_freq_factor", o.high_frequency);
  o.beta_fast = rope.get<double>("beta_fast", o.beta_fast);
  o.beta_slow = rope.get<double>("beta_slow", o.beta_slow);
  o.truncate = rope.get<bool>("truncate", true);
  o.attention_factor = rope.get<double>("attention_factor", o.scaling == "yarn" ? yarn_amplitude(rope, o.factor) : 0);
  o.short_factor = rope.get<std::vector<double>>("short_factor", {});
  o.long_factor = rope.get<std::vector<double>>("long_factor", {});
  rope.done();
  return o;
}

}  // namespace tessera

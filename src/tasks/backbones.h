#pragma once
#include <filesystem>

#include "tasks/inspect.h"

namespace tessera {

/// A backbone among those that are compared with each other.
struct Backbone {
  std::string name;                ///< as tables call it: "Swin"
  Json encoder;                    ///< of encoders(): {"kind": "swin", ...}
  Json pool = {{"kind", "mean"}};  ///< what a classifier reads of it
};
TESSERA_OPTIONS(Backbone, name, encoder, pool)

/// Reads a list of them, a JSON file as in recipes/backbones.
/// @param only  their names; empty: all. @throws Error for a name that the list does not have
std::vector<Backbone> read_backbones(const std::filesystem::path& file, const std::vector<std::string>& only = {});

struct BackboneBenchOptions {
  std::string precision = "float32";                 ///< see prepare()
  std::vector<int64_t> sides = {64, 128, 256, 512};  ///< of square pictures, ascending: how cost grows
  int64_t side = 224, batch = 32;                    ///< what one picture and a batch are measured at
};

/// What a backbone costs, prepared; memory is by how much the process grows.
struct BackboneCost {
  std::string name;
  int64_t parameters = 0;
  ForwardCost one, batch;                         ///< a picture and a batch, B x 3 x side x side
  std::vector<ForwardCost> growing;               ///< one picture of each of the sides
  double time_exponent = 0, memory_exponent = 0;  ///< least squares: cost ~ pixels ^ exponent
};

/// Measures a backbone with fresh weights. A process that has measured nothing before gives the cleanest memory.
/// @throws Error where it cannot be made, or refuses a size
BackboneCost measure_backbone(const Backbone& backbone, const BackboneBenchOptions& options);

/// Floating-point operations of one picture's way forward and back through a classifier, of which `model` is the
/// encoder and the pool: three times those of the way forward; see count_flops() for what counts.
/// @param size  pixels of a side. @throws Error
double training_flops(const Json& model, int64_t size);

/// The exponent of y ~ x ^ exponent by least squares of the logarithms; 0 for fewer than two positive points.
double fitted_exponent(const std::vector<std::pair<double, double>>& points);

}  // namespace tessera

#pragma once
#include <optional>

#include "kernels/precision.h"
#include "parity/golden.h"

namespace tessera::parity {

/// How far one tensor is from its record.
struct Comparison {
  std::string name;
  std::string verdict;                ///< "equal", "differs", "missing" or "not compared"
  std::string reason;                 ///< why not compared, or what differs besides values (shape, type)
  double absolute = 0, relative = 0;  ///< largest errors; NaN where shapes differ

  bool failed() const { return verdict == "differs" || verdict == "missing"; }
};

struct CaseResult {
  std::string name, status, message;  ///< "passed", "failed" or "unsupported"
  std::vector<Comparison> comparisons;
};

struct GoldenResult {
  std::string system, variant, status, message;
  std::vector<CaseResult> cases;
};

/// |got - want| <= atol + rtol |want| everywhere; integers and booleans equal; NaN and infinities in the same places.
Comparison compare(const std::string& name, const Tensor& got, const Tensor& want, double rtol, double atol);

/// Runs all cases of a golden folder.
/// @param prepared  the models are prepared first: no gradients and internals then, and outputs in another precision
/// than
///                  float32 agree by their cosine with the record (see least_cosine())
/// @param device    where models and inputs lie
GoldenResult run_golden(const std::filesystem::path& folder, std::optional<Precision> prepared = {},
                        torch::Device device = torch::kCPU);

/// How near outputs in this precision must come to the record.
double least_cosine(Precision precision);

/// All folders below the paths that hold a golden.json, sorted. @throws Error for a path that holds none
std::vector<std::filesystem::path> find_goldens(const std::vector<std::filesystem::path>& paths);

/// {"system", "variant", "status", "cases": [{"name", "status", "outputs": [{"name", "verdict", "absolute",
/// "relative"}]}]}
Json to_json(const GoldenResult& result);

}  // namespace tessera::parity

#include "parity/compare.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/taps.h"
#include "layers/prepare.h"
#include "layers/weights.h"

namespace tessera::parity {
namespace fs = std::filesystem;
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// The angle between an output and its record, of which `absolute` is one minus the cosine.
Comparison compare_direction(const std::string& name, const Tensor& got, const Tensor& want, double least) {
  if (!got.defined() || got.sizes() != want.sizes()) return compare(name, got, want, 0, 0);
  const Tensor a = got.cpu().to(torch::kFloat64).flatten(), b = want.to(torch::kFloat64).flatten();
  const Tensor counts = b.isfinite();  // what masks lies at infinity
  const Tensor x = a.masked_select(counts), y = b.masked_select(counts);
  const double lengths = (x.norm() * y.norm()).item<double>();
  const double cosine = lengths > 0 ? x.dot(y).item<double>() / lengths : 1;
  return {name, cosine >= least ? "equal" : "differs", "cosine " + std::to_string(cosine), 1 - cosine, 0};
}

/// Runs one case: the call under taps, then the backward pass from the probes, then every recorded tensor.
class CaseRun {
 public:
  CaseRun(const Golden& golden, const Case& item, System system, std::optional<Precision> prepared,
          torch::Device device)
      : golden_(golden), case_(item), system_(std::move(system)), prepared_(prepared), device_(device) {}

  CaseResult run() {
    result_.name = case_.name;
    if (system_.check) {
      for (const std::string& difference : system_.check(case_))
        result_.comparisons.push_back({case_.name, "differs", difference, kNaN, kNaN});
      if (result_.comparisons.empty()) result_.comparisons.push_back({case_.name, "equal", "", 0, 0});
    } else {
      forward();
      compare_outputs();
      if (!case_.grads.empty() && !prepared_) compare_gradients();
    }
    const bool failed =
        std::any_of(result_.comparisons.begin(), result_.comparisons.end(), [](const auto& c) { return c.failed(); });
    result_.status = failed ? "failed" : "passed";
    return std::move(result_);
  }

 private:
  Tensor recorded(const std::string& key) const {
    if (!golden_.tensors) throw Error("holds no cases.safetensors", golden_.folder.string());
    return golden_.tensors->tensor(key);
  }

  void forward() {
    if (!system_.module)
      device_ = torch::kCPU;  // a method
    else if (!device_.is_cpu())
      system_.module->to(device_);
    for (const auto& [name, key] : case_.inputs) {
      inputs_[name] = recorded(key).clone().to(device_);
      if (case_.grads.contains("input:" + name) && !prepared_) inputs_[name].requires_grad_(true);
    }
    torch::AutoGradMode grad(!case_.grads.empty() && !prepared_);
    if (!system_.module) {
      outputs_ = system_.call(case_, inputs_);
      return;
    }
    if (prepared_) {
      if (case_.mode == "train") throw Unsupported("a prepared model does not train");
      prepare(*system_.module, *prepared_);
      outputs_ = system_.call(case_, inputs_);
      return;
    }
    system_.module->train(case_.mode == "train");
    std::vector<std::string> paths;
    for (const auto& [name, key] : case_.outputs)
      if (const auto path = system_.names.module_path(name)) paths.push_back(*path);
    Taps taps(*system_.module, paths);
    outputs_ = system_.call(case_, inputs_);
    for (const auto& [name, key] : case_.outputs) {
      const auto path = system_.names.module_path(name);
      if (path && taps.has(*path) && !outputs_.contains(name)) outputs_[name] = taps.at(*path);
    }
  }

  void compare_outputs() {
    for (const auto& [name, key] : case_.outputs) {
      const auto found = outputs_.find(name);
      if (found != outputs_.end())
        result_.comparisons.push_back(compared(name, found->second, recorded(key)));
      else if (case_.internals.contains(name) || (prepared_ && system_.names.module_path(name)))
        result_.comparisons.push_back(
            {name, "not compared", "an internal of the reference without counterpart here", 0, 0});
      else
        result_.comparisons.push_back({name, "missing", "the system does not return it", kNaN, kNaN});
    }
  }

  Comparison compared(const std::string& name, const Tensor& got, const Tensor& want) const {
    if (!prepared_ || prepared_ == Precision::kFloat32) return compare(name, got, want, case_.rtol, case_.atol);
    if (!want.is_floating_point()) return {name, "not compared", "choices may differ in another precision", 0, 0};
    return compare_direction(name, got, want, least_cosine(*prepared_));
  }

  void compare_gradients() {
    Tensor loss = torch::zeros({}, device_);
    for (const auto& [name, key] : case_.probes) {
      const auto found = outputs_.find(name);
      if (found == outputs_.end()) throw Unsupported("the probed output '" + name + "' is not made");
      loss = loss + (found->second * recorded(key).to(device_)).sum();
    }
    std::map<std::string, std::pair<Tensor, Place>> wanted;
    std::map<std::string, Tensor> parameters;
    if (system_.module) parameters = named_tensors(*system_.module);
    std::vector<Tensor> leaves;
    for (const auto& [name, key] : case_.grads) {
      const bool input = name.starts_with("input:");
      const auto place = input ? Place{} : system_.names.place(name).value_or(Place{});
      const Tensor leaf = input                             ? inputs_[name.substr(6)]
                          : parameters.contains(place.path) ? parameters[place.path]
                                                            : Tensor();
      if (!leaf.defined()) throw Unsupported("there is no parameter for the gradient of '" + name + "'");
      wanted[name] = {leaf, place};
      leaves.push_back(leaf);
    }
    const auto grads = torch::autograd::grad({loss}, leaves, {}, /*retain_graph=*/false, /*create_graph=*/false,
                                             /*allow_unused=*/true);
    size_t i = 0;
    for (const auto& [name, key] : case_.grads) {
      const auto& [leaf, place] = wanted[name];
      const Tensor whole = grads[i].defined() ? grads[i] : torch::zeros_like(leaf);
      ++i;
      const Tensor want = recorded(key);
      result_.comparisons.push_back(
          compare("grad " + name, published_part(whole, place).reshape(want.sizes()), want, case_.rtol, case_.atol));
    }
  }

  const Golden& golden_;
  const Case& case_;
  System system_;
  std::optional<Precision> prepared_;
  torch::Device device_;
  Inputs inputs_;
  Outputs outputs_;
  CaseResult result_;
};

void run_cases(const Golden& golden, const Adapter& adapter, std::optional<Precision> prepared, torch::Device device,
               GoldenResult& result) {
  for (const Case& item : golden.cases) {
    try {
      result.cases.push_back(CaseRun(golden, item, adapter(golden), prepared, device).run());
    } catch (const Unsupported& why) {
      result.cases.push_back({item.name, "unsupported", why.what(), {}});
    } catch (const std::exception& error) {
      result.cases.push_back({item.name, "failed", error.what(), {}});
    }
  }
}

}  // namespace

Comparison compare(const std::string& name, const Tensor& got, const Tensor& want, double rtol, double atol) {
  Comparison result{name, "equal", "", 0, 0};
  if (!got.defined() || got.sizes() != want.sizes()) {
    std::ostringstream why;
    why << "shape " << (got.defined() ? got.sizes() : at::IntArrayRef{}) << ", recorded " << want.sizes();
    return {name, "differs", why.str(), kNaN, kNaN};
  }
  const Tensor a = got.detach().cpu().to(torch::kFloat64), b = want.to(torch::kFloat64);
  if (b.numel() == 0) return result;
  const Tensor finite = b.isfinite();
  const Tensor same = (a == b) | (a.isnan() & b.isnan());
  const Tensor difference =
      torch::where(finite, (a - b).abs(), torch::where(same, torch::zeros_like(b), torch::full_like(b, INFINITY)));
  result.absolute = difference.max().item<double>();
  const Tensor relative = difference / b.abs().clamp_min(atol > 0 ? atol : 1e-12);
  result.relative = torch::where(finite, relative, difference).max().item<double>();
  const bool exact = !want.is_floating_point();
  const Tensor allowed =
      exact ? torch::zeros_like(b) : torch::where(finite, atol + rtol * b.abs(), torch::zeros_like(b));
  if (!(difference <= allowed).all().item<bool>()) result.verdict = "differs";
  return result;
}

double least_cosine(Precision precision) {
  if (precision == Precision::kFloat32) return 1;
  if (precision == Precision::kBfloat16) return 0.999;
  return precision == Precision::kInt8 || precision == Precision::kInt8Weights ? 0.99 : 0.9;
}

GoldenResult run_golden(const fs::path& folder, std::optional<Precision> prepared, torch::Device device) {
  const Golden golden = read_golden(folder);
  GoldenResult result{golden.system, golden.variant, "passed", "", {}};
  const auto adapter = adapters().find(golden.system);
  if (adapter == adapters().end()) {
    result.status = "unsupported";
    result.message = "no adapter for the system '" + golden.system + "'";
    return result;
  }
  run_cases(golden, adapter->second, prepared, device, result);
  for (const CaseResult& item : result.cases) {
    if (item.status == "failed") result.status = "failed";
    if (item.status == "unsupported" && result.status == "passed") result.status = "unsupported";
  }
  return result;
}

std::vector<fs::path> find_goldens(const std::vector<fs::path>& paths) {
  std::vector<fs::path> folders;
  for (const fs::path& path : paths) {
    if (!fs::is_directory(path))
      throw Error("is no folder", path.string(), "give a folder with goldens, such as tests/goldens");
    const size_t before = folders.size();
    if (fs::exists(path / "golden.json")) folders.push_back(path);
    for (const auto& entry : fs::recursive_directory_iterator(path))
      if (entry.path().filename() == "golden.json" && entry.path().parent_path() != path)
        folders.push_back(entry.path().parent_path());
    if (folders.size() == before) throw Error("holds no golden.json", path.string());
  }
  std::sort(folders.begin(), folders.end());
  folders.erase(std::unique(folders.begin(), folders.end()), folders.end());
  return folders;
}

Json to_json(const GoldenResult& result) {
  Json json = {
      {"system", result.system}, {"variant", result.variant}, {"status", result.status}, {"cases", Json::array()}};
  if (!result.message.empty()) json["message"] = result.message;
  const auto number = [](double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); };
  for (const CaseResult& item : result.cases) {
    Json one = {{"name", item.name}, {"status", item.status}, {"outputs", Json::array()}};
    if (!item.message.empty()) one["message"] = item.message;
    for (const Comparison& c : item.comparisons) {
      Json output = {
          {"name", c.name}, {"verdict", c.verdict}, {"absolute", number(c.absolute)}, {"relative", number(c.relative)}};
      if (!c.reason.empty()) output["reason"] = c.reason;
      one["outputs"].push_back(output);
    }
    json["cases"].push_back(one);
  }
  return json;
}

}  // namespace tessera::parity

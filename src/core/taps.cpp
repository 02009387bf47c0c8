#include "core/taps.h"

#include "core/error.h"
#include "core/options.h"

namespace tessera {
namespace {

thread_local Taps* active = nullptr;

}  // namespace

Taps::Taps(const torch::nn::Module& root, const std::vector<std::string>& paths) : outer_(active) {
  for (const auto& path : paths) (path == "*" ? void(everything_ = true) : void(paths_.insert(path)));
  modules_[&root] = "";
  for (const auto& item : root.named_modules("", /*include_self=*/false)) modules_[item.value().get()] = item.key();
  active = this;
}

Taps::~Taps() { active = outer_; }

const torch::Tensor& Taps::at(const std::string& path) const {
  const auto found = results_.find(path);
  if (found != results_.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [name, value] : results_) known.push_back(name);
  for (const auto& [module, name] : modules_) known.push_back(name);
  const std::string near = nearest(path, known);
  throw Error("nothing was recorded for tap '" + path + "'", "", near.empty() ? "" : "did you mean '" + near + "'?");
}

std::string Taps::path_of(const torch::nn::Module& module, const char* what) const {
  const auto found = modules_.find(&module);
  if (found == modules_.end()) return "";
  if (*what == '\0') return found->second.empty() ? "output" : found->second;
  return found->second.empty() ? what : found->second + "." + what;
}

bool Taps::wanted(const torch::nn::Module& module, const char* what) {
  for (const Taps* taps = active; taps; taps = taps->outer_) {
    const std::string path = taps->path_of(module, what);
    if (!path.empty() && taps->asks_for(path)) return true;
  }
  return false;
}

torch::Tensor tap(const torch::nn::Module& module, torch::Tensor value, const char* what) {
  for (Taps* taps = active; taps; taps = taps->outer_) {
    const std::string path = taps->path_of(module, what);
    if (!path.empty() && taps->asks_for(path)) taps->results_[path] = value;
  }
  return value;
}

}  // namespace tessera

#include "core/error.h"

namespace tessera {
namespace {

std::string join(const std::string& problem, const std::string& where, const std::string& remedy) {
  std::string text = where.empty() ? problem : where + ": " + problem;
  if (!remedy.empty()) text += "; " + remedy;
  return text;
}

}  // namespace

Error::Error(std::string what, std::string where, std::string remedy)
    : std::runtime_error(join(what, where, remedy)),
      problem_(std::move(what)),
      where_(std::move(where)),
      remedy_(std::move(remedy)) {}

Error Error::within(const std::string& where) const {
  return Error(problem_, where_.empty() ? where : where + ": " + where_, remedy_);
}

}  // namespace tessera

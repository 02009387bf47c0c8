#pragma once
#include <stdexcept>
#include <string>

namespace tessera {

/// A mistake in what the user gave: a file, an option, a request. The program prints it in one line and exits with 2;
/// every other exception is a mistake of ours (exit status 1).
///
/// The message reads "WHERE: WHAT; REMEDY", for instance
/// `model.safetensors: tensor 'head.weight' has shape [5, 24], expected [10, 24]; give the config it was saved with`.
class Error : public std::runtime_error {
 public:
  /// @param what    what was wrong
  /// @param where   the file, key or argument; may be empty
  /// @param remedy  what to do about it; may be empty
  explicit Error(std::string what, std::string where = "", std::string remedy = "");

  const std::string& problem() const noexcept { return problem_; }
  const std::string& where() const noexcept { return where_; }
  const std::string& remedy() const noexcept { return remedy_; }

  /// The same error, seen from further out: `where` is put in front of the place that it already names.
  Error within(const std::string& where) const;

 private:
  std::string problem_, where_, remedy_;
};

}  // namespace tessera

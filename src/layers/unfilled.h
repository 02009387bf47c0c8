#pragma once

namespace tessera {

/// While it lives, modules that this thread makes leave their weights without first values. For a module that is loaded
/// next: drawing the weights of a large one takes minutes, and touches memory that the mapped file replaces.
class UnfilledWeights {
 public:
  UnfilledWeights();
  ~UnfilledWeights();
  UnfilledWeights(const UnfilledWeights&) = delete;
  UnfilledWeights& operator=(const UnfilledWeights&) = delete;

  static bool active();

 private:
  bool outer_;
};

}  // namespace tessera

#pragma once
#include "decode/strategies.h"

namespace tessera {

/// Tokens that a text may go on with.
struct Draft {
  std::vector<int64_t> ids;
  std::vector<std::vector<double>> chances;  ///< the distribution that each was drawn from; empty: it was certain
};

/// Proposes what a larger model then checks.
class Drafter {
 public:
  virtual ~Drafter() = default;
  /// @param text   with all that was accepted so far
  /// @param count  how many at most
  virtual Draft propose(const Text& text, int64_t count) = 0;
};

/// A smaller model of the same vocabulary, with the same options.
std::unique_ptr<Drafter> model_drafter(LanguageModel& model, const Task& task, const ProcessorChain& chain);

/// What followed the last words where they stood before ("Prompt Lookup Decoding", Saxena, 2023).
std::unique_ptr<Drafter> lookup_drafter();

}  // namespace tessera

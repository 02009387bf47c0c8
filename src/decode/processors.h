#pragma once
#include <memory>
#include <span>
#include <vector>

#include "decode/options.h"

namespace tessera {

/// A text whose next token is looked for.
struct TextSoFar {
  std::span<const int64_t> ids;  ///< all of it that is known as ids
  size_t prompt = 0;             ///< how many of them were given

  std::span<const int64_t> made() const { return ids.subspan(prompt); }
};

/// Changes the scores of the token that follows a text: logits, or in a beam search log-probabilities. What may not
/// come gets -infinity. It looks at one text alone, so that a batch cannot matter.
class LogitsProcessor {
 public:
  virtual ~LogitsProcessor() = default;
  virtual void process(std::span<float> scores, const TextSoFar& text) const = 0;
};

/// Processors in their order.
class ProcessorChain {
 public:
  void add(std::unique_ptr<LogitsProcessor> processor) { processors_.push_back(std::move(processor)); }
  void process(std::span<float> scores, const TextSoFar& text) const {
    for (const auto& processor : processors_) processor->process(scores, text);
  }

 private:
  std::vector<std::unique_ptr<LogitsProcessor>> processors_;
};

/// What the options ask for: penalties and bans and, where they sample, the truncations, in transformers' order.
ProcessorChain make_processors(const GenerateOptions& options);

/// The parts of that chain.
void add_penalties(ProcessorChain& chain, const GenerateOptions& options);    // penalties.cpp
void add_bans(ProcessorChain& chain, const GenerateOptions& options);         // bans.cpp
void add_truncations(ProcessorChain& chain, const GenerateOptions& options);  // truncations.cpp

}  // namespace tessera

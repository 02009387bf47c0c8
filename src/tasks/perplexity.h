#pragma once
#include <string>

#include "models/model.h"

namespace tessera {

struct PerplexityOptions {
  int64_t window = 0;  ///< tokens that the model reads at once; 0: its context, at most 2048
  int64_t stride = 0;  ///< by how many the window moves, so that a token is predicted from at least window - stride
                       ///< others; 0: half of the window
};

struct Perplexity {
  int64_t tokens = 0;        ///< of the text
  int64_t predicted = 0;     ///< all but the first, which nothing stands before
  double mean_nll = 0;       ///< negative log-likelihood of a predicted token, in nats
  double perplexity = 0;     ///< e to this
  double bits_per_byte = 0;  ///< of the text as UTF-8, which compares models with different tokens
};

/// How well a language model predicts a text that may be longer than its context, by a sliding window. Each token is
/// predicted once. Sums are in double.
/// @throws Error when the model is none, has no tokenizer, reads a source first, or the text has less than two tokens
Perplexity perplexity(const Model& model, const std::string& text, const PerplexityOptions& options = {});

}  // namespace tessera

#pragma once
#include <span>
#include <vector>

#include "core/text_batch.h"

namespace tessera {

/// How texts of different lengths become rows of one length.
struct PadOptions {
  int64_t id = 0;        ///< what rows are filled up with
  bool left = false;     ///< fill up before the text, so that all texts end at one place
  int64_t shortest = 0;  ///< at least this many columns
  int64_t longest = 0;   ///< what a text has beyond this many tokens is cut off; 0: nothing
};

/// Texts as one batch, B x L with L the length of the longest, and the mask of what is real.
TextBatch pad_texts(std::span<const std::span<const int64_t>> texts, const PadOptions& options = {});
TextBatch pad_texts(const std::vector<std::vector<int64_t>>& texts, const PadOptions& options = {});

}  // namespace tessera

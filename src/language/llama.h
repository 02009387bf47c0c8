#pragma once
#include "io/published_config.h"
#include "language/decoder.h"
#include "layers/family.h"

namespace tessera {

/// Reads the keys that LLaMA's relatives share, with LLaMA's own values and defaults. What a relative has beside them
/// (windows, biases) its caller reads and done() checks.
DecoderOptions read_llama(PublishedConfig& config);

/// The published names of LLaMA's relatives: separate query, key and value, gate and up.
NameTable llama_names(const DecoderOptions& options);

/// What all relatives have around and in their layers but for attention's and the feed-forward's projections.
NameTable llama_frame_names(bool tied);

}  // namespace tessera

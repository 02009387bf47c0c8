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

/// The window of each layer: `layer_types`, or where the config has none `types`, says which have one.
std::vector<int64_t> read_windows(PublishedConfig& config, std::vector<std::string> types, int64_t window);

/// `json` with the values that a relative's config class gives to absent keys.
Json with_defaults(const Json& json, Json defaults);

/// What all relatives have around and in their layers but for attention's and the feed-forward's projections.
NameTable llama_frame_names(bool tied);

}  // namespace tessera

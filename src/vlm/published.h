#pragma once
#include "encoders/vit.h"
#include "io/published_config.h"
#include "layers/family.h"
#include "vlm/vision_language.h"

namespace tessera {

/// How transformers publishes vision-language models: a config with one inside for each tower. What the families share
/// is read here; each file beside this one has what is its own.

/// The picture tower of a "vision_config".
struct VisionTower {
  VitOptions options;
  NameTable names;  ///< from "embeddings." on, at the paths of a Vit
};

/// @param otherwise  the model_type where the config has none
/// @throws Error for a tower that is not known
VisionTower read_vision_tower(PublishedConfig config, const std::string& otherwise);

/// The language model of a "text_config", any of the families.
/// @throws Error when it is no language model
Assembly read_language_model(const PublishedConfig& config, const std::string& otherwise);

/// hidden_states[layer] of transformers as the number of blocks before it: negative ones count from the end.
/// @throws Error naming the key where there is no such layer
int64_t feature_layer(int64_t layer, int64_t depth, const std::string& where);

/// The names of a model that is published as vision_tower (with `prefix` before the tower's own names),
/// multi_modal_projector (`projector`, at the bridge's paths) and language_model; and, to be read, those of files that
/// put "model." before them and the head at the top, or have "vision_model." where `prefix` has not, or the reverse.
NameTable vision_language_names(const VisionTower& tower, const std::string& prefix, const NameTable& projector,
                                const Assembly& language);

/// Where the head of a language model that stands at "language." is published as "lm_head.weight".
NameTable top_head_names(const Module& language);

/// Vocabulary and placeholder must agree where both lie in one config: a placeholder beyond the vocabulary can never be
/// made, one within it is a token like any other; both are published. A negative one is an Error.
int64_t read_placeholder(PublishedConfig& config, const std::string& keys, int64_t otherwise);

}  // namespace tessera

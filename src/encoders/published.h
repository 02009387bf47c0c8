#pragma once
#include "encoders/classifier.h"
#include "encoders/vit_published.h"
#include "layers/family.h"

namespace tessera {

/// Options with the "kind" by which a registry knows what they are for.
template <class Options>
Json of_kind(const std::string& kind, const Options& options) {
  Json json = write_options(options);
  json["kind"] = kind;
  return json;
}

/// The classifier that a config of transformers describes by the names of its classes; without any there are two.
std::shared_ptr<ImageClassifier> labelled_classifier(const Json& encoder, const Json& pool, const Json& config);

/// A side of a square that a config gives as one number or as a pair.
/// @throws Error where the pair is not square
int64_t square_side(PublishedConfig& config, const std::string& key, int64_t otherwise);

/// Names of the layers' linear projections and norms, as most authors' code has them after timm's ViT: "norm1",
/// "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2", and the modules of a Block.
NameTable timm_block_names();

/// The names of what begins stage n + 1, where it is published with stage n.
/// @param names  from ".downsample.norm.*" to ".entry.norm.*"
/// @return from "layers.0.downsample.norm.*" to "stages.1.entry.norm.*", and so on
NameTable between_stages(size_t stages, const NameTable& names);

}  // namespace tessera

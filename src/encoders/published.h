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

/// Whether a config names an architecture of timm that begins with one of these.
bool is_timm(const Json& config, std::initializer_list<const char*> beginnings);

/// The constructor arguments of a config of timm: what the architecture's name stands for, unless "model_args" has a
/// width of its own, then "model_args", "num_classes" and "global_pool".
/// @param by_name  what an architecture's name stands for; throws Error where it does not know it
Json timm_constructor(const Json& config, const std::string& where,
                      Json (*by_name)(const std::string& architecture, const std::string& where));

/// @throws Error an architecture of timm that is not known, whose arguments, such as these, could be given
[[noreturn]] void refuse_timm(const std::string& architecture, const std::string& arguments, const std::string& where);

/// The names of what begins stage n + 1, where it is published with stage n.
/// @param names  from ".downsample.norm.*" to ".entry.norm.*"
/// @return from "layers.0.downsample.norm.*" to "stages.1.entry.norm.*", and so on
NameTable between_stages(size_t stages, const NameTable& names);

}  // namespace tessera

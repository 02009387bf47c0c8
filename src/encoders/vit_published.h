#pragma once
#include "encoders/vit.h"
#include "io/name_table.h"
#include "io/published_config.h"

namespace tessera {

/// What the Hugging Face family of plain ViTs (vit, deit, vit_mae) shares.
VitOptions read_hf_vit(PublishedConfig& config);
/// What timm's arguments say of a ViT ("embed_dim", "num_heads", ...), as those who build on its code keep them.
VitOptions read_timm_vit(PublishedConfig& config);
/// Names of the layers "layer.{n}." of that family, at "blocks.{n}.".
NameTable hf_vit_layers();
/// Names of the whole tower, without prefix, at the module's own paths.
NameTable hf_vit_tower();

/// The names of config["id2label"], in order; empty when the config has none.
std::vector<std::string> read_labels(const Json& config);

}  // namespace tessera

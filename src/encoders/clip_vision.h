#pragma once
#include "encoders/vit.h"
#include "io/name_table.h"
#include "io/published_config.h"

namespace tessera {

/// The picture towers that transformers publishes under CLIP's names.
enum class ClipVision {
  kClip,     ///< a class token, a norm before the blocks (Radford et al., 2021)
  kSiglip,   ///< neither (Zhai et al., 2023)
  kIdefics2  ///< SigLIP's at the pictures' own aspect (Laurençon et al., 2024)
};

/// Reads a "vision_config". The caller reads what is left and calls done().
VitOptions read_clip_vision(PublishedConfig& config, ClipVision kind);

/// The names of a tower, from "embeddings." on, at the paths of a Vit.
NameTable clip_vision_names();

/// The names of the layers "{n}." of both of CLIP's towers, at "{n}.".
NameTable clip_layer_names();

/// The pooling head of SigLIP's tower, from "head." on, at the paths of an AttentionPool.
NameTable siglip_head_names();

}  // namespace tessera

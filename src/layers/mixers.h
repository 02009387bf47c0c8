#pragma once
#include "layers/mixer.h"
#include "layers/part_registry.h"

namespace tessera {

/// The mixers by the "kind" that a backbone's or a language model's options name: "attention", "mamba2", and those of
/// the files that register themselves.
PartRegistry<Mixer>& mixers();

template <class Type, class Options>
struct MixerRegistration : PartRegistration<Mixer, Type, Options> {
  explicit MixerRegistration(const std::string& kind) : PartRegistration<Mixer, Type, Options>(mixers(), kind) {}
};

/// The feed-forwards likewise: "mlp", "gated-mlp", "none" (a block that only mixes), ...
PartRegistry<FeedForward>& feed_forwards();

template <class Type, class Options>
struct FeedForwardRegistration : PartRegistration<FeedForward, Type, Options> {
  explicit FeedForwardRegistration(const std::string& kind)
      : PartRegistration<FeedForward, Type, Options>(feed_forwards(), kind) {}
};

}  // namespace tessera

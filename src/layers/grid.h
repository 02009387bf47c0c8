#pragma once
#include "core/tokens.h"
#include "layers/norm.h"

namespace tessera {

/// The tokens of a grid as a map, B x D x h x w (a view); prefix and suffix are left out.
/// @throws Error where the tokens fill no grid of two axes
torch::Tensor as_map(const Tokens& tokens);

/// A map B x D x h x w as tokens B x h*w x D with their grid.
Tokens as_tokens(const torch::Tensor& map);

/// The same sequence with another map of the same extent in its grid; prefix and suffix stay.
Tokens with_map(const Tokens& tokens, const torch::Tensor& map);

/// A norm of the channels of a map, B x C x H x W.
torch::Tensor norm_map(Norm& norm, const torch::Tensor& map);

}  // namespace tessera

#pragma once
#include "core/text_batch.h"
#include "core/tokens.h"

namespace tessera {

/// Puts the tokens of pictures where placeholders stand. Placeholders are filled in the order of the batch, row by row,
/// with the tokens of the pictures in their order.
/// @param embedded      token vectors, B x L x D; those of placeholders do not matter
/// @param placeholders  B x L, true where a token of a picture belongs
/// @param pictures      the tokens of each picture, n x D; n may differ
/// @return B x L x D
/// @throws Error when a row has more or fewer placeholders than its pictures have tokens
torch::Tensor replace_placeholders(const torch::Tensor& embedded, const torch::Tensor& placeholders,
                                   const std::vector<torch::Tensor>& pictures);

/// Puts one picture before each text: n tokens of B pictures, n x D each, and texts B x L x D with their mask.
/// @throws Error unless there is one picture for each text, or where pictures have different numbers of tokens
Tokens prepend_pictures(const std::vector<torch::Tensor>& pictures, const Tokens& text);

}  // namespace tessera

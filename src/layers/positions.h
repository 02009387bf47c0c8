#pragma once
#include "core/tokens.h"
#include "layers/module.h"

namespace tessera {

/// Resamples a table of learned positions to another grid, bicubically (a = -0.75, corners not aligned), as the
/// references do when a picture has another size than the table was trained for.
/// @param table      1 x (prefix + product of from) x D
/// @param prefix     rows before the grid, which are kept
/// @param antialias  low-pass when the grid shrinks (timm does, transformers does not)
/// @return 1 x (prefix + product of to) x D
Tensor resample_positions(const Tensor& table, int64_t prefix, const Grid& from, const Grid& to,
                          bool antialias = false);

/// The fixed two-dimensional sine-cosine table of masked autoencoders (He et al., 2021), computed in double.
/// Per token: sine and cosine of its column, then of its row, dim / 4 frequencies 10000^(-4i/dim) each.
/// @return height * width x dim; dim must be a multiple of 4
Tensor sine_cosine_positions(int64_t height, int64_t width, int64_t dim);

/// Fixed positions along a sequence: the sines of position / 10000^(i / (dim / 2 - 1)), then their cosines.
/// @param at    B or 1 x L x A, of which the first coordinate counts
/// @param like  type of the result
/// @return B or 1 x L x dim; dim must be even and at least 4
Tensor sinusoidal_positions(const Tensor& at, const torch::TensorOptions& like, int64_t dim);

/// The fixed sine table of the first transformers (Vaswani et al., 2017), computed in double: of position p, in channel
/// 2i the sine and in 2i + 1 the cosine of p / 10000^(2i/dim).
/// @return count x dim
Tensor sine_positions(int64_t count, int64_t dim);

}  // namespace tessera

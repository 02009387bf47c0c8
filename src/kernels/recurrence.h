#pragma once
#include <torch/types.h>

namespace tessera {

/// What the recurrences of state spaces come to over whole sequences on a CPU: vectors go over channels, and states
/// stay in registers or the first cache. All tensors are float32. Where there are gradients, the states before every
/// sixteenth token are kept for them, and those between are computed again.

/// sum over n of Re(c_n exp(t d_n)) for t = 0 ... length - 1: the taps of a diagonal state space.
/// @param coefficient  H x N, complex
/// @param log_ratio    d, H or 1 x N, complex
/// @return H x length; in memory length x H
torch::Tensor sums_of_powers(const torch::Tensor& coefficient, const torch::Tensor& log_ratio, int64_t length);

/// h <- exp(dt a) h + dt b x, y = c h, from token to token (Gu and Dao, 2023).
/// @param x, dt   B x L x D
/// @param a       D x N; D x 1 where all states of a channel decay alike, as in Mamba-2 and retention, which have no
///                gradients here
/// @param b, c    B x L x groups x N; a group serves D / groups consecutive channels
/// @param state   B x D x N before the first token; becomes that after the last
/// @param kept    receives what selective_scan_gradients() needs; null: nothing will be asked
/// @return y, B x L x D
torch::Tensor fused_selective_scan(const torch::Tensor& x, const torch::Tensor& dt, const torch::Tensor& a,
                                   const torch::Tensor& b, const torch::Tensor& c, torch::Tensor& state,
                                   torch::Tensor* kept = nullptr);

struct SelectiveScanGradients {
  torch::Tensor x, dt, a, b, c, state;  ///< shaped as what they belong to
};

/// @param kept      of fused_selective_scan() with the same x ... c
/// @param to_y      the gradient of y, B x L x D
/// @param to_state  that of the state after the last token, B x D x N
SelectiveScanGradients selective_scan_gradients(const torch::Tensor& x, const torch::Tensor& dt, const torch::Tensor& a,
                                                const torch::Tensor& b, const torch::Tensor& c,
                                                const torch::Tensor& kept, const torch::Tensor& to_y,
                                                const torch::Tensor& to_state);

/// The mean of all values so far, each weighted with exp(key) and exp(-decay) for every token since, and the newest
/// with exp(key + bonus) (Peng et al., 2023).
/// @param key, value    B x L x C
/// @param decay, bonus  C
/// @param kept          receives what weighted_means_gradients() needs; null: nothing will be asked
/// @return B x L x C
torch::Tensor weighted_means(const torch::Tensor& key, const torch::Tensor& value, const torch::Tensor& decay,
                             const torch::Tensor& bonus, torch::Tensor* kept = nullptr);

struct WeightedMeansGradients {
  torch::Tensor key, value, decay, bonus;  ///< shaped as what they belong to
};

/// @param kept    of weighted_means() with the same key ... bonus
/// @param to_out  the gradient of its result, B x L x C
WeightedMeansGradients weighted_means_gradients(const torch::Tensor& key, const torch::Tensor& value,
                                                const torch::Tensor& decay, const torch::Tensor& bonus,
                                                const torch::Tensor& kept, const torch::Tensor& to_out);

struct DecayedScores {
  torch::Tensor sums;  ///< of each query's scores, B x heads x L
  torch::Tensor tops;  ///< B x heads x L
};

/// Scores of a query i and a key j in a scale that keeps them finite (Beck et al., 2024), in place: times
/// exp(entered_j - top_i), where top_i is the largest of `before` and entered up to i; 0 for keys after the query.
/// @param scores   B x heads x L x L, contiguous
/// @param entered  B x heads x L
/// @param before   B x heads
DecayedScores decay_scores(const torch::Tensor& scores, const torch::Tensor& entered, const torch::Tensor& before);

}  // namespace tessera

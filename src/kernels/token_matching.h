#pragma once
#include <torch/types.h>

namespace tessera {

/// Which tokens are alike, and tokens that are merged, for inference on a CPU: what token reducers are made of. Tensors
/// are float32 where nothing else is said. Views are read as they are where the numbers of a token lie side by side,
/// and copied otherwise. Results do not depend on the number of threads.

struct Matches {
  torch::Tensor scores;   ///< B x N, float32
  torch::Tensor indices;  ///< B x N, int64
};

/// For every source the target with the largest dot product; of several, the first. The matrix of all products is never
/// in memory. (Bolya et al., Token Merging: Your ViT But Faster, ICLR 2023)
///
/// A product that is not a number counts as -infinity. A source without any target, as M is 0 or all are masked, has
/// the score -infinity and the index -1.
/// @param sources  B x N x d
/// @param targets  B x M x d
/// @param mask     B x M, bool, true where a target may be chosen; undefined: everywhere
/// @throws Error where the shapes do not fit
Matches best_matches(const torch::Tensor& sources, const torch::Tensor& targets, const torch::Tensor& mask = {});

/// How many tokens are like a token, which says how well it can be merged: the mean over all tokens of its sequence, it
/// itself among them, of ELU(similarity - margin). (Tran et al., Accelerating Transformers with Spectrum-Preserving
/// Token Merging, NeurIPS 2024)
/// @param tokens  B x N x d. The similarity is the dot product, and so the cosine where the caller has divided each
///                token by its norm, as best_matches() wants them, too
/// @param alpha   of ELU, x where x > 0 and alpha (e^x - 1) elsewhere
/// @return B x N
torch::Tensor elu_energy(const torch::Tensor& tokens, double margin, double alpha = 1);

/// The same of the density of a normal distribution, e^(-((1 - similarity) / sigma)^2 / 2) / (sigma sqrt(2 pi)), which
/// the same paper has for texts with sigma = 1 - margin.
/// @throws Error where sigma is not above 0
torch::Tensor gaussian_energy(const torch::Tensor& tokens, double sigma);

enum class MergedAs {
  kWeightedMean,  ///< by the masses: sum of mass x token / sum of masses
  kMean,          ///< of the tokens; masses do not matter
  kSum,           ///< likewise
  kLargest        ///< of every channel, likewise
};

struct Merged {
  torch::Tensor x;       ///< B x G x D
  torch::Tensor masses;  ///< B x G: the sums of those of the tokens
};

/// One token for each group, from tokens in their order. A group of one token is that token bit for bit; groups without
/// tokens, and weighted means whose masses sum to 0, are zeros. (Bolya et al., ICLR 2023)
/// @param x       B x N x D
/// @param groups  B x N, int64: the group of every token, below `count`. A negative one: the token is dropped
/// @param masses  B x N, how many tokens each stands for; undefined: 1
/// @throws Error where a group is not below `count`, and where the shapes do not fit
Merged merge_tokens(const torch::Tensor& x, const torch::Tensor& groups, int64_t count, MergedAs as,
                    const torch::Tensor& masses = {});

}  // namespace tessera

#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/options.h"
#include "layers/module.h"

namespace tessera {

/// What a dual encoder is trained for.
struct ObjectiveOptions {
  std::string kind = "info-nce";  ///< info-nce or sigmoid
  double image_weight = 1;        ///< InfoNCE: of choosing the text for a picture
  double text_weight = 1;         ///< InfoNCE: of choosing the picture for a text
  double label_smoothing = 0;     ///< InfoNCE, classes: mass of the target that all candidates share
  double max_scale = 100;         ///< the learned inverse temperature is clamped to it after every step
  double image_proxies = 0;       ///< weight of choosing a picture's concept among learned vectors, one per concept
  double text_proxies = 0;        ///< weight of the same for a name
  double text_alignment = 0;      ///< weight of 1 - cosine between a name and its concept's vector, which is held fixed
  double proxy_smoothing = 0.1;   ///< label smoothing of both
  double proxy_scale = 30;        ///< first inverse temperature of the proxies; learned, and clamped as the other
  int64_t proxy_pictures = 2;     ///< concepts with fewer pictures have no proxy
};
TESSERA_OPTIONS(ObjectiveOptions, kind, image_weight, text_weight, label_smoothing, max_scale, image_proxies,
                text_proxies, text_alignment, proxy_smoothing, proxy_scale, proxy_pictures)

/// @throws Error when a value is out of range
void check_objective(const ObjectiveOptions& options, const std::string& where);

/// Cross-entropy of each row's softmax against a target that spreads evenly over the row's matches.
///
/// With one match a row it is the usual cross-entropy. Rows without a match do not count.
/// @param logits     rows x columns
/// @param match      rows x columns, int8: 1 match, 0 not, -1 left out of the softmax
/// @param smoothing  mass that all columns that are not left out share
/// @return scalar, the mean over the rows that count; 0 when none does
Tensor match_cross_entropy(const Tensor& logits, const Tensor& match, double smoothing = 0);

/// InfoNCE in both directions (van den Oord et al., 2018; CLIP, Radford et al., 2021) with any number of matches per
/// row and column (as in supervised contrastive learning, Khosla et al., 2020): the weighted mean of both
/// cross-entropies.
Tensor info_nce(const Tensor& logits, const Tensor& match, double image_weight = 1, double text_weight = 1,
                double smoothing = 0);

/// The sigmoid loss (SigLIP, Zhai et al., 2023): every pair is a question of its own; the sum over the texts, averaged
/// over the pictures. Pairs with match -1 do not count.
Tensor sigmoid_loss(const Tensor& logits, const Tensor& match);

/// The loss of the objective's kind over candidates in several groups, one per language: the mean over the groups.
/// @param begins  first column of each group, then the number of columns
Tensor contrastive_loss(const ObjectiveOptions& options, const Tensor& logits, const Tensor& match,
                        const std::vector<int64_t>& begins);

/// Cross-entropy of scale * features . proxies for features that have length one ("Proxy-NCA", Movshovitz-Attias et
/// al., 2017; as normalised softmax, Zhai and Wu, 2019).
/// @param labels  rows; -1: the row does not count
Tensor proxy_loss(const Tensor& features, const Tensor& proxies, const Tensor& scale, const Tensor& labels,
                  double smoothing);

/// Mean of 1 - cosine between features and the proxies of their labels, both of length one; no gradient reaches the
/// proxies, so that names go where the pictures are. Rows with a negative label do not count.
Tensor alignment_loss(const Tensor& features, const Tensor& proxies, const Tensor& labels);

}  // namespace tessera

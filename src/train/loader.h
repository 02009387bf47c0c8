#pragma once
#include "train/captions.h"
#include "train/picture_sampler.h"

namespace tessera {

/// What one micro-batch needs.
struct Batch {
  Tensor pixels;    ///< B x 3 x H x W, normalised
  Tensor concepts;  ///< B, int64
  Candidates candidates;
};

/// Makes micro-batches: which pictures, how varied, with which texts. Batch i is a function of the recipe and i alone.
class BatchMaker {
 public:
  /// @param recipe   with steps, not epochs; it must outlive the maker, as all that is given here
  /// @param sources  for each source of the recipe the indices of its pictures
  BatchMaker(const Recipe& recipe, const Pictures& pictures, std::vector<std::vector<int64_t>> sources,
             const Captions& captions);

  Batch make(int64_t number) const;
  const PictureSampler& sampler() const { return sampler_; }

 private:
  uint64_t seed_;
  const Pictures& pictures_;
  PictureSampler sampler_;
  const Captions& captions_;
};

}  // namespace tessera

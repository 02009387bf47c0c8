#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "data/pictures.h"
#include "train/augment.h"
#include "train/recipe.h"

namespace tessera {

/// What is drawn in place of a picture.
struct Drawing {
  const Image* image = nullptr;  ///< none: the picture's own pixels
  bool true_colours = false;     ///< its colours are not varied
};

/// Which pictures a micro-batch shows, and how varied. Both are functions of the recipe and the batch's number alone.
class PictureSampler {
 public:
  /// @param recipe   with steps, not epochs; it must outlive the sampler, as all that is given here
  /// @param sources  for each source of the recipe the indices of its pictures
  PictureSampler(const Recipe& recipe, const Pictures& pictures, std::vector<std::vector<int64_t>> sources);

  /// The pictures of a micro-batch, by index.
  std::vector<int64_t> choose(int64_t number) const;
  /// How its pictures are varied.
  AugmentOptions variation(int64_t number) const;
  /// The varied, normalised pixels of these pictures, B x 3 x H x W.
  /// @param drawing  what is drawn in place of picture i of the batch
  Tensor pixels(int64_t number, const std::vector<int64_t>& chosen,
                const std::function<Drawing(size_t i)>& drawing = {}) const;

 private:
  int64_t drawn_before(size_t source, int64_t number) const;
  std::shared_ptr<const std::vector<int64_t>> order_of(size_t source, int64_t pass) const;

  const Recipe& recipe_;
  const Pictures& pictures_;
  std::vector<std::vector<int64_t>> sources_;
  std::vector<double> shares_;        // of a batch, in sum 1
  std::vector<Symmetry> symmetries_;  // per concept
  AugmentOptions start_;              // how pictures are varied in the first step
  using Order = std::shared_ptr<const std::vector<int64_t>>;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<size_t, int64_t>, Order> orders_;  // by source and pass: those of late
};

}  // namespace tessera

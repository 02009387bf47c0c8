#include "train/picture_sampler.h"

#include <cmath>
#include <numeric>

namespace tessera {
namespace {

/// What a draw is for, so that no two kinds of draw share their numbers; see also loader.cpp and talk_learner.cpp.
enum Purpose : uint64_t { kOrder = 1, kPicture = 2 };

}  // namespace

PictureSampler::PictureSampler(const Recipe& recipe, const Pictures& pictures,
                               std::vector<std::vector<int64_t>> sources)
    : recipe_(recipe), pictures_(pictures), sources_(std::move(sources)), start_(starting_augment(recipe)) {
  for (size_t i = 0; i < sources_.size(); ++i) {
    const double weight = recipe.data.sources[i].weight;
    shares_.push_back(weight > 0 ? weight : static_cast<double>(sources_[i].size()));
  }
  const double sum = std::accumulate(shares_.begin(), shares_.end(), 0.0);
  for (auto& share : shares_) share /= sum;
  for (const auto& item : pictures.concepts) {
    const auto name = item.names.find("en");
    symmetries_.push_back(name == item.names.end() ? Symmetry() : symmetry_of(name->second, recipe.augment));
  }
}

/// How many pictures of a source the micro-batches before this one took: shares of a picture add up over the batches.
int64_t PictureSampler::drawn_before(size_t source, int64_t number) const {
  const auto total = static_cast<double>(number * recipe_.batch);
  double share = 0;  // rounding the running sums makes the counts of all sources add up to the batch
  for (size_t i = 0; i < source; ++i) share += shares_[i];
  const double end = source + 1 == sources_.size() ? 1 : share + shares_[source];
  return std::llround(total * end) - std::llround(total * share);
}

/// The order in which one pass takes the pictures of a source.
std::shared_ptr<const std::vector<int64_t>> PictureSampler::order_of(size_t source, int64_t pass) const {
  const std::lock_guard lock(mutex_);
  Order& order = orders_[{source, pass}];
  if (!order) {
    const uint64_t seed = mix_seed(static_cast<uint64_t>(recipe_.seed), kOrder, source);
    Random random(mix_seed(seed, static_cast<uint64_t>(pass)));
    order = std::make_shared<std::vector<int64_t>>(random.permutation(static_cast<int64_t>(sources_[source].size())));
    std::erase_if(orders_,
                  [&](const auto& kept) { return kept.first.first == source && kept.first.second + 2 < pass; });
  }
  return order;
}

std::vector<int64_t> PictureSampler::choose(int64_t number) const {
  std::vector<int64_t> chosen;
  for (size_t source = 0; source < sources_.size(); ++source) {
    const auto count = static_cast<int64_t>(sources_[source].size());
    for (int64_t at = drawn_before(source, number); at < drawn_before(source, number + 1); ++at) {
      const auto place = (*order_of(source, at / count))[static_cast<size_t>(at % count)];
      chosen.push_back(sources_[source][static_cast<size_t>(place)]);
    }
  }
  return chosen;
}

AugmentOptions PictureSampler::variation(int64_t number) const {
  const double ramp = recipe_.augment_ramp * static_cast<double>(recipe_.steps * recipe_.accumulate);
  return ramp > 0 ? between(start_, recipe_.augment, static_cast<double>(number) / ramp) : recipe_.augment;
}

Tensor PictureSampler::pixels(int64_t number, const std::vector<int64_t>& chosen,
                              const std::function<Drawing(size_t i)>& drawing) const {
  const AugmentOptions options = variation(number), true_colours = in_true_colours(options);
  const auto seed = mix_seed(static_cast<uint64_t>(recipe_.seed), kPicture);
  const int64_t size = recipe_.data.size, plane = size * size;
  Tensor pixels = torch::empty({static_cast<int64_t>(chosen.size()), 3, size, size});
  for (size_t i = 0; i < chosen.size(); ++i) {
    const Picture& picture = pictures_.pictures[static_cast<size_t>(chosen[i])];
    const Drawing other = drawing ? drawing(i) : Drawing();
    Random random(mix_seed(seed, static_cast<uint64_t>(number), static_cast<uint64_t>(i)));
    float* planes = pixels.data_ptr<float>() + static_cast<int64_t>(i) * 3 * plane;
    augment(other.image ? *other.image : picture.pixels, other.true_colours ? true_colours : options,
            symmetries_[static_cast<size_t>(picture.concept_index)], random, size, planes);
    for (int64_t c = 0; c < 3; ++c) {
      const auto mean = static_cast<float>(recipe_.data.mean[static_cast<size_t>(c)]);
      const auto scale = static_cast<float>(1 / recipe_.data.std[static_cast<size_t>(c)]);
      for (int64_t k = c * plane; k < (c + 1) * plane; ++k) planes[k] = (planes[k] - mean) * scale;
    }
  }
  return pixels;
}

}  // namespace tessera

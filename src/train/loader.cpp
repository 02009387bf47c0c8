#include "train/loader.h"

namespace tessera {
namespace {

constexpr uint64_t kTexts = 3;  // a purpose of draws; see picture_sampler.cpp for the others

}  // namespace

BatchMaker::BatchMaker(const Recipe& recipe, const Pictures& pictures, std::vector<std::vector<int64_t>> sources,
                       const Captions& captions)
    : seed_(static_cast<uint64_t>(recipe.seed)),
      pictures_(pictures),
      sampler_(recipe, pictures, std::move(sources)),
      captions_(captions) {}

Batch BatchMaker::make(int64_t number) const {
  const std::vector<int64_t> chosen = sampler_.choose(number);
  std::vector<int64_t> concepts;
  for (const int64_t index : chosen) concepts.push_back(pictures_.pictures[static_cast<size_t>(index)].concept_index);
  Random random(mix_seed(mix_seed(seed_, kTexts), static_cast<uint64_t>(number)));
  Batch batch;
  batch.pixels = sampler_.pixels(number, chosen);
  batch.candidates = captions_.draw(concepts, random);
  batch.concepts = torch::tensor(concepts, torch::kInt64);
  return batch;
}

}  // namespace tessera

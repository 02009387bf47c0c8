#include "train/learner.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace tessera {

double Learner::rate_factor(int64_t number) const { return schedule_factor(recipe_.schedule, number, recipe_.steps); }

std::pair<int64_t, std::string> Learner::items(int64_t) const { return {recipe_.batch * recipe_.accumulate, unit_}; }

Json Learner::summary() const {
  int64_t parameters = 0;
  for (const auto& [name, tensor] : trained()) parameters += tensor.numel();
  Json summary = {{"parameters", parameters}};
  summary.update(data_summary());
  return summary;
}

void seed_torch(const Recipe& recipe, Draw purpose, int64_t number) {
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard lock(generator.mutex());
  generator.set_current_seed(
      mix_seed(static_cast<uint64_t>(recipe.seed), static_cast<uint64_t>(purpose), static_cast<uint64_t>(number)));
}

bool is_part(const std::string& measure) { return measure != "loss" && measure != "distance"; }

std::string measure_title(const std::string& measure) {
  static const std::map<std::string, std::string> titles = {
      {"top1", "top-1"}, {"top5", "top-5"}, {"recall10", "recall@10"}};
  const auto title = titles.find(measure);
  return title == titles.end() ? measure : title->second;
}

torch::ScalarType precision_of(const Recipe& recipe) {
  return recipe.precision == "bfloat16" ? torch::kBFloat16 : torch::kFloat32;
}

double checked_loss(const Tensor& loss, int64_t number) {
  const double value = loss.item<double>();
  if (!std::isfinite(value))
    throw Error("the loss is " + std::to_string(value), "step " + std::to_string(number),
                "lower the learning rate; the last state is kept");
  return value;
}

void fill_steps(Recipe& recipe, int64_t samples, Rounding rounding) {
  if (recipe.steps > 0) return;
  const double passes = recipe.epochs * static_cast<double>(samples);
  const double steps = passes / static_cast<double>(recipe.batch * recipe.accumulate);
  recipe.steps = std::max<int64_t>(1, std::llround(rounding == Rounding::kUp ? std::ceil(steps) : steps));
}

TrainingPictures read_training_pictures(Recipe& recipe) {
  TrainingPictures data;
  for (const auto& source : recipe.data.sources) {
    const auto before = static_cast<int64_t>(data.pictures.pictures.size());
    data.pictures.read(source.shards);
    auto& indices = data.sources.emplace_back();
    for (auto i = before; i < static_cast<int64_t>(data.pictures.pictures.size()); ++i) {
      const Picture& picture = data.pictures.pictures[static_cast<size_t>(i)];
      if (picture.split != "train")
        throw Error("belongs to the split '" + picture.split + "' and must not be trained on", picture.key,
                    "take its shard out of data.sources");
      indices.push_back(i);
    }
  }
  if (recipe.data.balance > 0)
    for (auto& indices : data.sources) indices = data.pictures.balanced(indices, recipe.data.balance);
  fill_steps(recipe, static_cast<int64_t>(data.pictures.pictures.size()));
  return data;
}

std::shared_ptr<const ImageProcessor> training_processor(const DataOptions& data) {
  ImageProcessorOptions options;
  options.kind = "CLIP";
  options.height = options.width = data.size;
  options.filter = Filter::kBicubic;
  for (size_t c = 0; c < 3; ++c) options.mean[c] = data.mean[c], options.std[c] = data.std[c];
  return std::make_shared<ImageProcessor>(options);
}

}  // namespace tessera

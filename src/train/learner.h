#pragma once
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>

#include "data/pictures.h"
#include "layers/module.h"
#include "processors/image_processor.h"
#include "train/optimizer.h"
#include "train/prefetcher.h"
#include "train/recipe.h"

namespace tessera {

/// What an evaluation found: of each set ("en", "colour") its measures ("top1"), parts from 0 to 1 (see is_part()).
using Scores = std::map<std::string, std::map<std::string, double>>;

/// False for the measures that are no part of a whole: a "loss", in nats, or a "distance".
bool is_part(const std::string& measure);

/// How a measure is called in tables: "top-1" for "top1".
std::string measure_title(const std::string& measure);

/// What a run learns: a model, its data and its loss. The Trainer makes steps of the gradients and keeps the run.
///
/// All that decides the gradients of step i follows from the recipe, the tensors and i alone, so that a resumed run is
/// the uninterrupted one.
class Learner {
 public:
  /// @param recipe  it must outlive the learner
  /// @param unit    what a batch counts: "pictures"
  Learner(const Recipe& recipe, std::string unit) : recipe_(recipe), unit_(std::move(unit)) {}
  virtual ~Learner() = default;
  Learner(const Learner&) = delete;
  Learner& operator=(const Learner&) = delete;

  /// Of the whole run, and of them those with pictures, after which evaluation is due in any case.
  virtual int64_t steps() const { return recipe_.steps; }
  virtual int64_t picture_steps() const { return steps(); }

  /// The parameters that the optimizer changes, and the tensors that a resumed run needs, these among them.
  virtual NamedTensors trained() const = 0;
  virtual NamedTensors tensors() const = 0;
  /// The live weights of which averages are kept, evaluated and shipped.
  virtual NamedTensors weights() const = 0;

  /// Prepares batches from this step on.
  virtual void begin(int64_t step) = 0;
  /// Adds the gradients of a step and returns its loss. @throws Error when it is not finite
  virtual double step(int64_t number) = 0;
  /// Keeps parameters in their range after an update.
  virtual void bound() {}
  /// What the optimizer's learning rate is multiplied with: unless a learner says otherwise, the recipe's schedule.
  virtual double rate_factor(int64_t number) const;
  /// How many a step takes, and of what, for the progress line: {64, "pictures"}.
  virtual std::pair<int64_t, std::string> items(int64_t number) const;
  /// More columns of the metrics.
  virtual Json metrics() const { return Json::object(); }

  virtual bool evaluates() const = 0;
  /// Scores these averages; `main` says how good they are in one number. Given without a gradient.
  virtual Scores evaluate(const NamedTensors& averages, double& main) = 0;
  /// Writes these averages as a model folder, or as the folder of an adapter. @throws Error
  virtual void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const = 0;
  /// What is said of the run when it has ended: "parameters", how many numbers were trained, and data_summary().
  Json summary() const;
  virtual Module& module() const = 0;

 protected:
  /// What the summary says of the data: {"pictures": 60000}.
  virtual Json data_summary() const = 0;

  /// Micro-batches from the first of a step on, made ahead of time: step s takes `accumulate` from s * accumulate on.
  template <class T>
  std::unique_ptr<Prefetcher<T>> prefetch(int64_t step, std::function<T(int64_t)> make) const {
    const int64_t micro = recipe_.accumulate;
    // Two for each worker, and what a learner takes at once that needs all of a step together.
    const int64_t ahead = 2 * recipe_.workers + 1 + micro;
    return std::make_unique<Prefetcher<T>>(std::move(make), std::min(step, recipe_.steps) * micro,
                                           recipe_.steps * micro, recipe_.workers, ahead);
  }

  const Recipe& recipe_;

 private:
  std::string unit_;
};

/// Seeds what LibTorch draws (first weights, dropout) from the recipe's seed, a purpose and a number.
enum class Draw : uint64_t { kWeights = 11, kDropout = 12 };
void seed_torch(const Recipe& recipe, Draw purpose, int64_t number = 0);

/// The type of the recipe's matrix products.
torch::ScalarType precision_of(const Recipe& recipe);

/// The value of a loss. @throws Error naming the step when it is not finite
double checked_loss(const Tensor& loss, int64_t number);

enum class Rounding { kNearest, kUp };
/// Fills recipe.steps, where the recipe counts passes, with those that so many samples need; at least one.
/// @param rounding  kUp: no sample is left out of the last pass
void fill_steps(Recipe& recipe, int64_t samples, Rounding rounding = Rounding::kNearest);

/// The training data of a recipe: its pictures and, per source, the indices to draw from, balanced where it says so.
struct TrainingPictures {
  Pictures pictures;
  std::vector<std::vector<int64_t>> sources;
};
/// Fills recipe.steps where the recipe counts epochs. @throws Error for pictures that must not be trained on
TrainingPictures read_training_pictures(Recipe& recipe);

/// The published processor that does to a picture what training did: bicubic, scaled, normalised.
std::shared_ptr<const ImageProcessor> training_processor(const DataOptions& data);

}  // namespace tessera

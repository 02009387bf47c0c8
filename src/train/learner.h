#pragma once
#include <filesystem>
#include <map>

#include "data/pictures.h"
#include "layers/module.h"
#include "processors/image_processor.h"
#include "train/optimizer.h"
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
  virtual ~Learner() = default;

  /// Of the whole run, and of them those with pictures, after which evaluation is due in any case.
  virtual int64_t steps() const = 0;
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
  /// What the optimizer's learning rate is multiplied with.
  virtual double rate_factor(int64_t number) const = 0;
  /// How many a step takes, and of what, for the progress line: {64, "pictures"}.
  virtual std::pair<int64_t, std::string> items(int64_t number) const = 0;
  /// More columns of the metrics.
  virtual Json metrics() const { return Json::object(); }

  virtual bool evaluates() const = 0;
  /// Scores these averages; `main` says how good they are in one number. Given without a gradient.
  virtual Scores evaluate(const NamedTensors& averages, double& main) = 0;
  /// Writes these averages as a model folder, or as the folder of an adapter. @throws Error
  virtual void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const = 0;
  /// What the summary of the run says of its data.
  virtual Json summary() const = 0;
  virtual Module& module() = 0;
};

/// Seeds what LibTorch draws (first weights, dropout) from the recipe's seed, a purpose and a number.
enum class Draw : uint64_t { kWeights = 11, kDropout = 12 };
void seed_torch(const Recipe& recipe, Draw purpose, int64_t number = 0);

/// The type of the recipe's matrix products.
torch::ScalarType precision_of(const Recipe& recipe);

/// The value of a loss. @throws Error naming the step when it is not finite
double checked_loss(const Tensor& loss, int64_t number);

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

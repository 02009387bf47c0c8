#pragma once
#include <filesystem>
#include <functional>
#include <memory>

#include "train/ema.h"
#include "train/learner.h"
#include "train/run_files.h"

namespace tessera {

/// How a run is carried out; nothing here changes the weights that come out.
struct RunControl {
  std::filesystem::path folder;            ///< recipe, tokenizer, state, metrics, report and at last the model
  bool new_recipe = false;                 ///< resume even though the recipe is another one
  std::function<bool(int64_t)> stop = {};  ///< asked after each step; true: save and return
};

/// How a run ended.
struct RunResult {
  bool finished = false;  ///< false: stopped before the last step
  int64_t step = 0;
  double loss = 0;  ///< of the last step
  Scores scores;    ///< the last evaluation's
};

/// "top-1 73.1 %, top-5 87.3 %"
std::string to_string(const std::map<std::string, double>& measures);

/// Trains as a recipe says: a dual encoder, an image classifier, what talks about what a dual encoder sees, or an
/// adapter of a language model.
///
///   Trainer trainer(read_recipe(read_json("recipe.json"), "recipe.json"), {.folder = "runs/first"});
///   trainer.run();
///
/// The folder holds recipe.json, tokenizer/, state.safetensors (all that a resumed run needs: weights, averages,
/// moments), best.safetensors (the averaged weights that evaluated best), metrics.jsonl, report.html, and at the end
/// model/ (of an adapter: adapter/). A folder with a state is resumed; the resumed run is bit-identical to one that was
/// never stopped.
class Trainer {
 public:
  /// Reads the data and the state. @throws Error, also when the folder's recipe is another one, naming the key
  Trainer(Recipe recipe, RunControl control);
  ~Trainer();

  /// Trains to the end, or until a signal or control.stop asks to stop; then the state is saved. @throws Error for a
  /// loss or gradient that is not finite, naming step and tensor
  RunResult run();

  /// Writes the averaged weights as a model folder. @throws Error
  void save_model_folder(const std::filesystem::path& folder);

  const Recipe& recipe() const { return recipe_; }
  Learner& learner() { return *learner_; }

 private:
  void open_folder();
  void after_step(double loss, double norm, double factor);
  void evaluate();
  void save();
  NamedTensors all_tensors() const;
  NamedTensors averages() const;

  Recipe recipe_;
  RunControl control_;
  std::unique_ptr<Learner> learner_;
  std::unique_ptr<AdamW> optimizer_;
  std::unique_ptr<Ema> ema_;
  std::unique_ptr<MetricsLog> metrics_;
  RunState state_;
  RunResult result_;
};

}  // namespace tessera

#pragma once
#include <filesystem>
#include <functional>
#include <memory>

#include "text/tokenizer.h"
#include "train/ema.h"
#include "train/evaluate.h"
#include "train/loader.h"
#include "train/recipe.h"
#include "train/replicas.h"
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
  double loss = 0;                              ///< of the last step
  std::map<std::string, LanguageScore> scores;  ///< the last evaluation's
};

/// Trains a dual encoder as a recipe says.
///
///   Trainer trainer(read_recipe(read_json("recipe.json"), "recipe.json"), {.folder = "runs/first"});
///   trainer.run();
///
/// The folder holds recipe.json, tokenizer/, state.safetensors (all that a resumed run needs: weights, averages,
/// moments), best.safetensors (the averaged weights that evaluated best), metrics.jsonl, report.html, and at the end
/// model/. A folder with a state is resumed; the resumed run is bit-identical to one that was never stopped.
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
  DualEncoder& model() { return *model_; }
  const Pictures& pictures() const { return pictures_; }
  /// With pictures, and with names alone.
  int64_t steps() const { return recipe_.steps + recipe_.names.steps; }

 private:
  void read_data();
  void build_model();
  void add_proxies(NamedTensors& trained);
  void open_folder();
  double step(int64_t number, Prefetcher<Batch>& batches);
  double name_step(int64_t number);
  double rate_factor(int64_t number) const;
  Tensor loss_of(const Batch& batch, const Replicas::Features& features);
  void after_step(double loss, double norm, double factor);
  void evaluate();
  void save();
  NamedTensors all_tensors() const;

  Recipe recipe_;
  RunControl control_;
  Json model_options_;
  Pictures pictures_;
  std::vector<std::vector<int64_t>> sources_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  int64_t padding_id_ = 0;
  std::unique_ptr<Captions> captions_, names_;  // of the steps with pictures, and of those with names alone
  std::unique_ptr<BatchMaker> maker_;
  std::shared_ptr<DualEncoder> model_, averaged_;
  Tensor proxies_, proxy_scale_;  // proxies x dim; logarithm
  Tensor proxy_of_;               // per concept its proxy, or -1
  std::unique_ptr<Replicas> replicas_;
  std::unique_ptr<AdamW> optimizer_;
  std::unique_ptr<Ema> ema_;
  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<MetricsLog> metrics_;
  RunState state_;
  RunResult result_;
  torch::ScalarType dtype_ = torch::kFloat32;
};

}  // namespace tessera

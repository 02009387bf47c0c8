#pragma once
#include <memory>

#include "text/tokenizer.h"
#include "train/evaluate.h"
#include "train/loader.h"
#include "train/model_learner.h"
#include "train/replicas.h"

namespace tessera {

/// Learns a dual encoder from captioned pictures: the steps with pictures, then those with names alone.
class ContrastiveLearner : public ModelLearner {
 public:
  /// Reads the data; the tokenizer comes from the recipe or is trained and kept in `run`. @throws Error
  ContrastiveLearner(Recipe& recipe, const std::filesystem::path& run);
  ~ContrastiveLearner() override;

  int64_t steps() const override { return recipe_.steps + recipe_.names.steps; }
  int64_t picture_steps() const override { return recipe_.steps; }
  NamedTensors trained() const override;
  NamedTensors tensors() const override;
  void begin(int64_t step) override;
  double step(int64_t number) override;
  void bound() override;
  double rate_factor(int64_t number) const override;
  std::pair<int64_t, std::string> items(int64_t number) const override;
  Json metrics() const override;
  bool evaluates() const override { return evaluator_ != nullptr; }
  Scores evaluate(const NamedTensors& averages, double& main) override;
  void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const override;
  Module& module() const override { return *model_; }

 protected:
  Tensor loss_of(int64_t micro) override;
  void backward(const Tensor& loss) override;
  Json data_summary() const override;

 private:
  void read_texts(const std::filesystem::path& run);
  void build_model();
  void add_proxies();
  NamedTensors proxies() const;
  double name_step(int64_t number);
  Tensor with_proxies(Tensor loss, const Batch& batch) const;

  Json model_options_;
  TrainingPictures data_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  int64_t padding_id_ = 0;
  std::unique_ptr<Captions> captions_, names_;  // of the steps with pictures, and of those with names alone
  std::unique_ptr<BatchMaker> maker_;
  std::unique_ptr<Prefetcher<Batch>> batches_;
  std::shared_ptr<DualEncoder> model_, averaged_;
  Tensor proxies_, proxy_scale_;  // proxies x dim; logarithm
  Tensor proxy_of_;               // per concept its proxy, or -1
  std::unique_ptr<Replicas> replicas_;
  Replicas::Features features_;  // of the last batch, through which its loss goes back
  std::unique_ptr<Evaluator> evaluator_;
};

}  // namespace tessera

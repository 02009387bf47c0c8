#pragma once
#include <memory>
#include <span>

#include "data/questions.h"
#include "tasks/evaluate_talk.h"
#include "train/learner.h"
#include "train/picture_sampler.h"
#include "train/prefetcher.h"

namespace tessera {

/// Rows of picture, question and answer.
struct TalkRows {
  Tensor pictures;  ///< R, int64: the picture of each row
  TextBatch text;   ///< R x L: picture, question, answer
  Tensor details;   ///< R, bool: whether the row sees the picture's colours and cells, beside its vector
  Tensor named;     ///< the rows, int64, in which a name stands for the picture
  TextBatch names;  ///< of them
  Tensor labels;    ///< R x L, int64: the answers and their ends; -100 elsewhere
};

/// Pictures and what is asked about them, as one step takes them.
struct TalkBatch {
  Tensor pixels;               ///< B x 3 x H x W, normalised
  std::vector<TalkRows> rows;  ///< short rows apart from long ones, which would fill them up with padding
};

/// Draws questions for the pictures of a micro-batch. Batch i is a function of the recipe and i alone.
class TalkBatchMaker {
 public:
  TalkBatchMaker(const Recipe& recipe, const TrainingPictures& data, const TalkerFormat& format,
                 const Tokenizer& tokenizer, int64_t name_length);
  TalkBatch make(int64_t number) const;

 private:
  struct Row {
    int64_t picture;
    std::vector<int64_t> ids;
    size_t answer;  // where it begins
    bool details;
    std::vector<int64_t> name = {};  // that stands for the picture
  };
  std::optional<Question> draw(const Picture& picture, Random& random) const;
  Row row(size_t picture, const Question& question, bool details) const;
  std::vector<int64_t> name_of(const Picture& picture, Random& random) const;
  TalkRows together(std::span<const Row> rows) const;

  const Recipe& recipe_;
  const Pictures& pictures_;
  PictureSampler sampler_;
  Questions questions_;
  TalkerFormat format_;
  const Tokenizer& tokenizer_;
  int64_t name_length_;  // tokens that the text tower reads of a name
};

/// Learns to answer about pictures: next-token loss over the answers alone. The dual encoder of the recipe's base stays
/// as it is, to the byte.
class TalkLearner : public Learner {
 public:
  /// Reads base and data. @throws Error
  explicit TalkLearner(Recipe& recipe);

  int64_t steps() const override { return recipe_.steps; }
  NamedTensors trained() const override;
  NamedTensors tensors() const override;
  NamedTensors weights() const override;
  void begin(int64_t step) override;
  double step(int64_t number) override;
  double rate_factor(int64_t number) const override;
  std::pair<int64_t, std::string> items(int64_t number) const override;
  bool evaluates() const override { return test_ != nullptr; }
  Scores evaluate(const NamedTensors& averages, double& main) override;
  void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const override;
  Json summary() const override;
  Module& module() override { return *model_; }

 private:
  std::shared_ptr<Talker> make() const;
  Tensor vectors_of_names() const;
  std::vector<Tensor> pictures_of(const TalkRows& rows, const Tensor& pictures) const;
  Tensor loss_of(const TalkRows& rows, const Tensor& pictures) const;

  const Recipe& recipe_;
  Model base_;
  Json options_;  // of the talker
  TrainingPictures data_;
  std::shared_ptr<Talker> model_, averaged_;
  std::unique_ptr<TalkBatchMaker> maker_;
  std::unique_ptr<Prefetcher<TalkBatch>> batches_;
  std::unique_ptr<TalkTest> test_;
};

}  // namespace tessera

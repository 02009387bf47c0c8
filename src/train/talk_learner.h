#pragma once
#include <memory>
#include <span>

#include "data/questions.h"
#include "tasks/evaluate_talk.h"
#include "train/model_learner.h"
#include "train/picture_sampler.h"

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
class TalkLearner : public ModelLearner {
 public:
  /// Reads base and data. @throws Error
  explicit TalkLearner(Recipe& recipe);

  /// Those of the bridge and the decoder.
  NamedTensors weights() const override;
  void begin(int64_t step) override;
  bool evaluates() const override { return test_ != nullptr; }
  Scores evaluate(const NamedTensors& averages, double& main) override;
  void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const override;
  Module& module() const override { return *model_; }

 protected:
  Tensor loss_of(int64_t micro) override;
  Json data_summary() const override;

 private:
  std::shared_ptr<Talker> make() const;
  Tensor vectors_of_names() const;
  std::vector<Tensor> pictures_of(const TalkRows& rows, const Tensor& pictures) const;
  Tensor loss_of_rows(const TalkRows& rows, const Tensor& pictures) const;

  Model base_;
  Json options_;  // of the talker
  TrainingPictures data_;
  std::shared_ptr<Talker> model_, averaged_;
  std::unique_ptr<TalkBatchMaker> maker_;
  std::unique_ptr<Prefetcher<TalkBatch>> batches_;
  std::unique_ptr<TalkTest> test_;
};

}  // namespace tessera

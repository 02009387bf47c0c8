#pragma once
#include <filesystem>
#include <functional>

#include "data/questions.h"
#include "tasks/answer.h"

namespace tessera {

/// The evaluation of a talker on pictures that it was never trained on: its captions and its answers.

struct TalkEvaluationOptions {
  std::filesystem::path data = "data/icons";  ///< shards and names.jsonl
  std::string style = "fluent-emoji-flat";    ///< whose pictures are asked about
  std::vector<std::string> languages;         ///< in which names are asked for; empty: those of the talker, and where
                                              ///< it names none, trained_languages()
  int64_t limit = 0;                          ///< this many pictures, evenly spread; 0: all
};

/// One method on one kind of question. Shares are from 0 to 1.
struct TalkRow {
  std::string kind, language;
  std::string method;  ///< "majority": always the commonest answer of the set; "retrieval"; "model"
  int64_t questions = 0;
  double exact = 0;     ///< the answer but for case
  double accepted = 0;  ///< or, for a name, a synonym of it: see Question
};

/// The questions of a set of pictures of seen symbols, skin tones apart: the same in every run.
class TalkTest {
 public:
  /// @throws Error when the data is missing
  TalkTest(const std::vector<std::string>& shards, const std::string& names, const std::vector<std::string>& languages,
           int64_t limit, const ImageProcessor& processor);

  /// Answers to questions about pictures, B x 3 x H x W.
  using Method = std::function<std::vector<std::string>(const Tensor& pixels, const std::vector<Question>& questions)>;

  /// Asks everything.
  std::vector<TalkRow> run(const std::string& name, const Method& method) const;
  std::vector<TalkRow> majority() const;
  const std::vector<Concept>& concepts() const { return pictures_.concepts; }

 private:
  struct Asked {
    size_t pixels;  // into pixels_
    Question question;
  };
  void ask(const Picture& picture, uint64_t number, const std::vector<std::string>& languages,
           const ImageProcessor& processor);

  Pictures pictures_;
  std::unique_ptr<Questions> questions_;
  std::vector<Tensor> pixels_;
  std::vector<Asked> asked_;
};

/// The dual encoder alone: the symbol whose English name lies nearest answers for the picture; of several choices or
/// colours the nearest is taken. It cannot count and says "one".
TalkTest::Method answer_by_retrieval(const Model& model, const std::vector<Concept>& concepts);

/// The talker.
TalkTest::Method answer_by_talking(Answerer& answerer);

/// All methods on all kinds. @throws Error when the data is missing or the model does not talk
std::vector<TalkRow> evaluate_talk(const Model& model, const TalkEvaluationOptions& options);

}  // namespace tessera

#include "tasks/evaluate_talk.h"

#include <algorithm>

#include "core/error.h"
#include "core/progress.h"
#include "data/colours.h"
#include "tasks/embed.h"
#include "tasks/evaluate_icons.h"

namespace tessera {
namespace {

constexpr uint64_t kSeed = 20;  // of the questions, which are the same in every run
constexpr size_t kBlock = 64;

Tensor prepared(const ImageProcessor& processor, const Image& premultiplied) {
  return processor(on_white(premultiplied)).pixel_values.select(0, 0);
}

/// Counts right answers per kind and language, in the order in which they come.
class Tally {
 public:
  explicit Tally(std::string method) : method_(std::move(method)) {}

  void add(const Question& question, const std::string& answer) {
    auto row = std::find_if(rows_.begin(), rows_.end(), [&](const TalkRow& known) {
      return known.kind == question.kind && known.language == question.language;
    });
    if (row == rows_.end())
      row = rows_.insert(row, {.kind = question.kind, .language = question.language, .method = method_});
    const bool exact = same_answer(answer, question.answer);
    const bool synonym = std::any_of(question.synonyms.begin(), question.synonyms.end(),
                                     [&](const std::string& other) { return same_answer(answer, other); });
    ++row->questions;
    row->exact += exact;
    row->accepted += exact || synonym;
  }
  std::vector<TalkRow> rows() const {
    std::vector<TalkRow> rows = rows_;
    for (auto& row : rows)
      row.exact /= static_cast<double>(row.questions), row.accepted /= static_cast<double>(row.questions);
    return rows;
  }

 private:
  std::string method_;
  std::vector<TalkRow> rows_;
};

}  // namespace

TalkTest::TalkTest(const std::vector<std::string>& shards, const std::string& names,
                   const std::vector<std::string>& languages, int64_t limit, const ImageProcessor& processor) {
  pictures_.read(shards);
  if (!names.empty()) pictures_.read_names(names);
  questions_ = std::make_unique<Questions>(pictures_.concepts);
  const auto chosen = pictures_.to_test(limit);
  if (chosen.empty()) throw Error("no picture is left to ask about", shards.empty() ? "shards" : shards.front());
  for (size_t i = 0; i < chosen.size(); ++i) ask(pictures_.pictures[chosen[i]], i, languages, processor);
  pictures_.pictures.clear();
}

void TalkTest::ask(const Picture& picture, uint64_t number, const std::vector<std::string>& languages,
                   const ImageProcessor& processor) {
  Random random(mix_seed(kSeed, number));
  const int64_t index = picture.concept_index;
  pixels_.push_back(prepared(processor, picture.pixels));
  const auto add = [&](std::optional<Question> question) {
    if (question) asked_.push_back({pixels_.size() - 1, std::move(*question)});
  };
  for (const auto& language : languages) add(questions_->name(index, language, random));
  add(questions_->group(index, random));
  add(questions_->colour(picture.pixels, random));
  add(questions_->is_it(index, random));
  add(questions_->which(index, random));
  const auto count = static_cast<int64_t>(1 + random.below(kMostOfSeveral));
  pixels_.push_back(prepared(processor, several(picture.pixels, count, random)));
  add(questions_->how_many(count, random));
}

std::vector<TalkRow> TalkTest::run(const std::string& name, const Method& method) const {
  Tally tally(name);
  Progress progress(name, static_cast<int64_t>(asked_.size()), "questions");
  for (size_t begin = 0; begin < asked_.size(); begin += kBlock) {
    const size_t end = std::min(begin + kBlock, asked_.size());
    std::vector<Tensor> pixels;
    std::vector<Question> questions;
    for (size_t i = begin; i < end; ++i) {
      pixels.push_back(pixels_[asked_[i].pixels]);
      questions.push_back(asked_[i].question);
    }
    const auto answers = method(torch::stack(pixels), questions);
    for (size_t i = 0; i < questions.size(); ++i) tally.add(questions[i], answers[i]);
    progress.step(static_cast<int64_t>(questions.size()));
  }
  progress.finish();
  return tally.rows();
}

std::vector<TalkRow> TalkTest::majority() const {
  std::map<std::pair<std::string, std::string>, std::map<std::string, int64_t>> counts;
  for (const auto& [pixels, question] : asked_) ++counts[{question.kind, question.language}][question.answer];
  return run("majority", [&](const Tensor&, const std::vector<Question>& questions) {
    std::vector<std::string> answers;
    for (const auto& question : questions) {
      const auto& known = counts.at({question.kind, question.language});
      answers.push_back(std::max_element(known.begin(), known.end(), [](const auto& a, const auto& b) {
                          return a.second < b.second;
                        })->first);
    }
    return answers;
  });
}

namespace {

/// Unit vectors of texts in the shared space.
class Retriever {
 public:
  Retriever(const Model& model, const std::vector<Concept>& concepts)
      : images_(model), texts_(model), concepts_(concepts) {
    std::vector<std::string> names;
    for (size_t i = 0; i < concepts.size(); ++i)
      if (const auto name = concepts[i].names.find("en"); name != concepts[i].names.end()) {
        names.push_back(name->second);
        named_.push_back(i);
      }
    names_ = vectors(names);
    colours_ = vectors(colour_names());
  }

  std::vector<std::string> answer(const Tensor& pixels, const std::vector<Question>& questions) const {
    const Tensor images = unit(images_.embed(pixels));  // B x D
    const Tensor nearest = images.matmul(names_.t()).argmax(1);
    std::vector<std::string> answers;
    for (size_t i = 0; i < questions.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      const size_t symbol = named_[static_cast<size_t>(nearest[row].item<int64_t>())];
      answers.push_back(answer(questions[i], images[row], concepts_[symbol]));
    }
    return answers;
  }

 private:
  Tensor vectors(const std::vector<std::string>& texts) const { return unit(texts_.embed(texts, {.truncate = true})); }

  std::string nearest_of(const Tensor& image, const std::vector<std::string>& texts, const Tensor& vectors) const {
    return texts[static_cast<size_t>(vectors.matmul(image).argmax().item<int64_t>())];
  }

  std::string answer(const Question& question, const Tensor& image, const Concept& symbol) const {
    if (question.kind == "group") return Questions::group_name(symbol.group);
    if (question.kind == "colour") return nearest_of(image, colour_names(), colours_);
    if (question.kind == "is-it") return same_answer(question.choices.front(), symbol.names.at("en")) ? "yes" : "no";
    if (question.kind == "which") return nearest_of(image, question.choices, vectors(question.choices));
    if (question.kind == "how-many") return "one";
    const auto name = symbol.names.find(question.language);
    return name == symbol.names.end() ? "" : name->second;
  }

  ImageEmbedder images_;
  TextEmbedder texts_;
  const std::vector<Concept>& concepts_;
  std::vector<size_t> named_;
  Tensor names_, colours_;
};

}  // namespace

TalkTest::Method answer_by_retrieval(const Model& model, const std::vector<Concept>& concepts) {
  const auto retriever = std::make_shared<Retriever>(model, concepts);
  return [retriever](const Tensor& pixels, const std::vector<Question>& questions) {
    return retriever->answer(pixels, questions);
  };
}

TalkTest::Method answer_by_talking(Answerer& answerer) {
  return [&answerer](const Tensor& pixels, const std::vector<Question>& questions) {
    std::vector<std::string> texts, answers;
    for (const auto& question : questions) texts.push_back(question.text);
    for (const auto& answer : answerer.answer(pixels, texts)) answers.push_back(answer.text);
    return answers;
  };
}

namespace {

/// A talker knows what it was trained with; the recipe beside it may be that of its dual encoder.
std::vector<std::string> asked_languages(const Model& model, const Talker& talker,
                                         const TalkEvaluationOptions& options) {
  if (!options.languages.empty()) return options.languages;
  return talker.languages().empty() ? trained_languages(model) : talker.languages();
}

}  // namespace

std::vector<TalkRow> evaluate_talk(const Model& model, const TalkEvaluationOptions& options) {
  auto& talker = model.as<Talker>("answer questions");
  Answerer answerer(talker, tokenizer_of(model));
  const TalkTest test({(options.data / (options.style + "-*.tar")).string()}, (options.data / "names.jsonl").string(),
                      asked_languages(model, talker, options), options.limit, processor_of(model));
  std::vector<TalkRow> rows = test.majority();
  for (const auto& part : {test.run("retrieval", answer_by_retrieval(model, test.concepts())),
                           test.run("model", answer_by_talking(answerer))})
    rows.insert(rows.end(), part.begin(), part.end());
  return rows;
}

}  // namespace tessera

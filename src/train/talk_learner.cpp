#include "train/talk_learner.h"

#include <algorithm>
#include <set>

#include "core/compat.h"
#include "core/error.h"
#include "core/pad_texts.h"
#include "data/colours.h"
#include "tasks/embed.h"
#include "train/ema.h"
#include "train/run_files.h"

namespace tessera {
namespace {

constexpr uint64_t kQuestions = 4;  // a purpose of draws; see picture_sampler.cpp for the others
constexpr int64_t kIgnored = -100;
constexpr size_t kParts = 3;  // by length, into which the rows of a step are divided
const char* const kDual = "encoder.dual.";

/// One of the keys, as often as its weight says.
const std::string& weighted(const std::map<std::string, double>& weights, Random& random) {
  double sum = 0;
  for (const auto& [key, weight] : weights) sum += weight;
  double at = random.uniform() * sum;
  for (const auto& [key, weight] : weights)
    if ((at -= weight) < 0) return key;
  return weights.rbegin()->first;
}

Json dual_options(const Model& base) {
  if (base.config.contains("talker")) return base.config.at("talker").at("dual_encoder");
  if (base.config.contains("dual_encoder")) return base.config.at("dual_encoder");
  throw Error("is no dual encoder of Tessera's own", base.folder.string(), "train one first, without base");
}

/// The tokens of questions that name nothing.
std::set<int64_t> asking_ids(const Tokenizer& tokenizer) {
  std::set<int64_t> asking;
  for (const auto& question : Questions::without_names())
    for (const int64_t id : tokenizer.encode(question, false).ids) asking.insert(id);
  for (const int64_t id : tokenizer.encode("of", false).ids) asking.erase(id);  // it joins the words of names
  return asking;
}

}  // namespace

TalkBatchMaker::TalkBatchMaker(const Recipe& recipe, const TrainingPictures& data, const TalkerFormat& format,
                               const Tokenizer& tokenizer, int64_t name_length)
    : recipe_(recipe),
      pictures_(data.pictures),
      sampler_(recipe, data.pictures, data.sources),
      questions_(data.pictures.concepts),
      format_(format),
      tokenizer_(tokenizer),
      name_length_(name_length) {
  for (const auto& [language, weight] : recipe.captions.languages) Questions::naming(language);  // refuses others
}

/// A question of a kind that is drawn; of another where the picture has no answer to it.
std::optional<Question> TalkBatchMaker::draw(const Picture& picture, Random& random) const {
  const int64_t index = picture.concept_index;
  for (int attempt = 0; attempt < 8; ++attempt) {
    const std::string& kind = weighted(recipe_.questions.kinds, random);
    std::optional<Question> question;
    if (kind == "name") question = questions_.name(index, weighted(recipe_.captions.languages, random), random);
    if (kind == "group") question = questions_.group(index, random);
    if (kind == "is-it") question = questions_.is_it(index, random);
    if (kind == "which") question = questions_.which(index, random);
    if (question) return question;
  }
  return {};
}

TalkBatchMaker::Row TalkBatchMaker::row(size_t picture, const Question& question, bool details) const {
  Row row{static_cast<int64_t>(picture), format_.prompt(tokenizer_.encode(question.text, false).ids, true), 0, details};
  row.answer = row.ids.size();
  const auto answer = tokenizer_.encode(question.answer, false).ids;
  row.ids.insert(row.ids.end(), answer.begin(), answer.end());
  row.ids.push_back(format_.end);
  return row;
}

/// A name in a language that is drawn, empty where it has none in that language.
std::vector<int64_t> TalkBatchMaker::name_of(const Picture& picture, Random& random) const {
  const Concept& shown = pictures_.concepts[static_cast<size_t>(picture.concept_index)];
  const auto name = shown.names.find(weighted(recipe_.captions.languages, random));
  return name == shown.names.end() ? std::vector<int64_t>{} : tokenizer_.encode(name->second, false).ids;
}

TalkRows TalkBatchMaker::together(std::span<const Row> rows) const {
  std::vector<std::span<const int64_t>> texts;
  for (const auto& row : rows) texts.push_back(row.ids);
  TalkRows batch;
  batch.text = pad_texts(texts, {.id = format_.end});
  const int64_t count = batch.text.ids.size(0), length = batch.text.ids.size(1);
  batch.pictures = torch::empty({count}, torch::kInt64);
  std::vector<int64_t> named;
  std::vector<std::vector<int64_t>> names;
  batch.details = torch::empty({count}, torch::kBool);
  batch.labels = torch::full({count, length}, kIgnored, torch::kInt64);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    batch.pictures.data_ptr<int64_t>()[i] = row.picture;
    batch.details.data_ptr<bool>()[i] = row.details;
    if (!row.name.empty()) named.push_back(static_cast<int64_t>(i)), names.push_back(row.name);
    const auto at = static_cast<int64_t>(i) * length + static_cast<int64_t>(row.answer);
    std::copy(row.ids.begin() + static_cast<std::ptrdiff_t>(row.answer), row.ids.end(),
              batch.labels.data_ptr<int64_t>() + at);
  }
  batch.named = torch::tensor(named, torch::kInt64);
  batch.names = pad_texts(names, {.longest = name_length_});
  return batch;
}

TalkBatch TalkBatchMaker::make(int64_t number) const {
  const std::vector<int64_t> chosen = sampler_.choose(number);
  Random random(mix_seed(mix_seed(static_cast<uint64_t>(recipe_.seed), kQuestions), static_cast<uint64_t>(number)));
  std::vector<Image> copies(chosen.size());
  std::vector<bool> true_colours(chosen.size());
  std::vector<Row> rows;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const Picture& picture = pictures_.pictures[static_cast<size_t>(chosen[i])];
    const double asked = random.uniform();
    if (asked < recipe_.questions.several) {
      const auto count = static_cast<int64_t>(1 + random.below(kMostOfSeveral));
      copies[i] = several(picture.pixels, count, random);
      rows.push_back(row(i, questions_.how_many(count, random), true));
      continue;
    }
    if (asked < recipe_.questions.several + recipe_.questions.colour) {
      if (random.chance(0.5)) copies[i] = recoloured(picture.pixels, random);
      true_colours[i] = true;
      const auto question = questions_.colour(copies[i].empty() ? picture.pixels : copies[i], random);
      if (question) rows.push_back(row(i, *question, true));
      continue;
    }
    for (int64_t k = 0; k < recipe_.questions.per_picture; ++k) {
      const auto question = draw(picture, random);
      if (!question) continue;
      const bool details = !random.chance(recipe_.questions.detail_dropout);
      rows.push_back(row(i, *question, details));
      if (!details && random.chance(recipe_.questions.names)) rows.back().name = name_of(picture, random);
    }
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.ids.size() < b.ids.size(); });
  TalkBatch batch;
  batch.pixels = sampler_.pixels(number, chosen, [&](size_t i) {
    return Drawing{copies[i].empty() ? nullptr : &copies[i], true_colours[i]};
  });
  for (size_t part = 0; part < kParts; ++part) {
    const size_t begin = rows.size() * part / kParts, end = rows.size() * (part + 1) / kParts;
    if (begin < end) batch.rows.push_back(together(std::span(rows).subspan(begin, end - begin)));
  }
  return batch;
}

TalkLearner::TalkLearner(Recipe& recipe)
    : ModelLearner(recipe, "pictures"), base_(load_model(recipe.base)), data_(read_training_pictures(recipe)) {
  auto& dual = base_.as<DualEncoder>("learn to talk");
  options_ = recipe.model;
  options_["dual_encoder"] = dual_options(base_);
  Json& language = options_["language"];
  if (language.is_object() && !language.contains("vocabulary"))
    language["vocabulary"] = tokenizer_of(base_).vocab_size();
  if (const auto begin = base_.tokenizer->special_ids().bos) options_["begin_id"] = *begin;
  if (!options_.contains("languages")) {
    options_["languages"] = Json::array();
    for (const auto& [tag, weight] : recipe_.captions.languages) options_["languages"].push_back(tag);
  }
  if (!options_.contains("asking")) options_["asking"] = asking_ids(*base_.tokenizer);
  const Tensor names = vectors_of_names();
  if (!options_.contains("memory")) options_["memory"] = names.size(0);
  seed_torch(recipe_, Draw::kWeights);
  model_ = make();
  averaged_ = make();
  for (const auto& talker : {model_, averaged_}) {
    copy_weights(weights_of(dual), talker->dual());
    if (options_.at("memory") != 0) talker->remember(names);
  }
  averaged_->eval();
  maker_ = std::make_unique<TalkBatchMaker>(recipe_, data_, format_of(*model_, *base_.tokenizer), *base_.tokenizer,
                                            dual.text().context());
  const auto& evaluation = recipe_.evaluation;
  if (evaluation.every > 0 && !evaluation.shards.empty())
    test_ = std::make_unique<TalkTest>(evaluation.shards, evaluation.names, evaluation.languages, evaluation.limit,
                                       *training_processor(recipe_.data));
}

/// Vectors of the English names of what the pictures show, each name once: names x dim.
Tensor TalkLearner::vectors_of_names() const {
  std::set<std::string> names;
  for (const Concept& shown : data_.pictures.concepts)
    if (const auto name = shown.names.find("en"); name != shown.names.end() && shown.seen && !shown.skin_tone)
      names.insert(name->second);
  const std::vector<std::string> listed(names.begin(), names.end());
  return TextEmbedder(base_).embed(listed, {.truncate = true});
}

std::shared_ptr<Talker> TalkLearner::make() const {
  auto talker = make_talker(options_, "model");
  talker->train();
  talker->freeze_dual();
  return talker;
}

NamedTensors TalkLearner::weights() const {
  NamedTensors own = weights_of(*model_);
  std::erase_if(own, [](const auto& item) { return item.first.starts_with(kDual); });
  return own;
}

void TalkLearner::begin(int64_t step) {
  batches_ = prefetch<TalkBatch>(step, [this](int64_t number) { return maker_->make(number); });
}

/// What each row sees of its picture.
std::vector<Tensor> TalkLearner::pictures_of(const TalkRows& rows, const Tensor& pictures) const {
  Tensor seen = pictures.index_select(0, rows.pictures);  // R x P x D: vector, details, and the vector itself
  if (rows.named.numel() > 0) {
    const Tensor named = model_->vector_tokens(model_->dual().encode_text(rows.names));
    seen = seen.index_copy(0, rows.named, named.to(seen.scalar_type()));
  }
  Tensor kept = torch::ones({seen.size(0), seen.size(1), 1}, seen.options());
  kept.narrow(1, 1, model_->picture_length() - 1).mul_(rows.details.to(seen.scalar_type()).view({-1, 1, 1}));
  return (seen * kept).unbind(0);
}

/// The sum over the rows of the mean loss of each answer's tokens, so that "yes" weighs as much as a long name.
/// @param pictures  the tokens of each picture, B x P x D
Tensor TalkLearner::loss_of_rows(const TalkRows& rows, const Tensor& pictures) const {
  const Tokens tokens = model_->join(pictures_of(rows, pictures), rows.text);
  const Tensor hidden = model_->hidden(tokens, nullptr).x;  // R x L x D
  const Tensor labels = rows.labels.narrow(1, 1, hidden.size(1) - 1);
  const Tensor wanted = labels.ne(kIgnored);  // questions are not predicted
  const Tensor share = (wanted / wanted.sum(1, true).to(torch::kFloat32)).masked_select(wanted);
  const Tensor before = hidden.narrow(1, 0, hidden.size(1) - 1).masked_select(wanted.unsqueeze(2));
  const Tensor logits = model_->logits(before.view({1, -1, hidden.size(2)})).squeeze(0).to(torch::kFloat32);
  const Tensor losses = torch::cross_entropy_loss(logits, labels.masked_select(wanted), {}, at::Reduction::None);
  return (losses * share).sum();
}

Tensor TalkLearner::loss_of(int64_t) {
  const TalkBatch batch = batches_->next();
  const Autocast autocast(precision_of(recipe_));
  const Tensor pictures = model_->picture_tokens(batch.pixels);
  Tensor loss = torch::zeros({});
  int64_t answers = 0;
  for (const auto& rows : batch.rows) loss = loss + loss_of_rows(rows, pictures), answers += rows.labels.size(0);
  return loss / static_cast<double>(std::max<int64_t>(answers, 1));
}

Scores TalkLearner::evaluate(const NamedTensors& averages, double& main) {
  NamedTensors all = averages;
  for (const auto& item : prefixed(kDual, weights_of(averaged_->dual()))) all.push_back(item);
  copy_weights(all, *averaged_);
  Answerer answerer(*averaged_, *base_.tokenizer);
  Scores scores;
  for (const auto& row : test_->run("model", answer_by_talking(answerer)))
    scores[row.kind == "name" ? "name " + row.language : row.kind] = {{"exact", row.exact}, {"accepted", row.accepted}};
  const auto first = scores.find("name " + recipe_.evaluation.languages.front());
  main = first == scores.end() ? 0 : first->second.at("accepted");
  return scores;
}

void TalkLearner::save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const {
  Model model = make_model({{"model_type", "tessera-talker"}, {"talker", options_}}, "recipe");
  NamedTensors all = averages;
  for (const auto& item : prefixed(kDual, weights_of(model_->dual()))) all.push_back(item);
  copy_weights(all, *model.module);
  model.processor = training_processor(recipe_.data);
  model.tokenizer = base_.tokenizer;
  save_model(model, folder, torch::kBFloat16);
}

Json TalkLearner::data_summary() const { return {{"pictures", data_.pictures.pictures.size()}}; }

}  // namespace tessera

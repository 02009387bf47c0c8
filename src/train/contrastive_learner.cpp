#include "train/contrastive_learner.h"

#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "models/model.h"
#include "train/ema.h"
#include "train/tokenizer_recipe.h"

namespace tessera {
namespace {

constexpr uint64_t kNames = 13;  // a purpose of draws; see loader.cpp and learner.h for the others

}  // namespace

ContrastiveLearner::ContrastiveLearner(Recipe& recipe, const std::filesystem::path& run)
    : ModelLearner(recipe, "pictures"), data_(read_training_pictures(recipe)) {
  read_texts(run);
  build_model();
}

ContrastiveLearner::~ContrastiveLearner() = default;

void ContrastiveLearner::read_texts(const std::filesystem::path& run) {
  tokenizer_ = std::make_shared<Tokenizer>(provide_tokenizer(recipe_, data_.pictures.concepts, run / "tokenizer"));
  padding_id_ = tokenizer_->special_ids().pad.value_or(0);
  const Tokenize tokenize = tokenize_with(*tokenizer_);
  captions_ = std::make_unique<Captions>(data_.pictures.concepts, recipe_.captions, tokenize, padding_id_);
  CaptionOptions names = recipe_.captions;
  names.candidates = recipe_.names.candidates;
  names.languages_per_step = recipe_.names.languages_per_step;
  names.keyword = 0;
  if (recipe_.names.steps > 0)
    names_ = std::make_unique<Captions>(data_.pictures.concepts, names, tokenize, padding_id_);
  maker_ = std::make_unique<BatchMaker>(recipe_, data_.pictures, data_.sources, *captions_);
  if (recipe_.evaluation.every > 0 && !recipe_.evaluation.shards.empty())
    evaluator_ = std::make_unique<Evaluator>(recipe_, tokenize, padding_id_);
}

void ContrastiveLearner::build_model() {
  model_options_ = recipe_.model;
  Json& text = model_options_["text"];
  if (text.is_object() && !text.contains("vocabulary")) text["vocabulary"] = tokenizer_->vocab_size();
  if (text.is_object() && text["vocabulary"].is_number() &&
      text["vocabulary"].get<int64_t>() < tokenizer_->vocab_size())
    throw Error("the tokenizer has " + std::to_string(tokenizer_->vocab_size()) + " tokens", "model.text.vocabulary",
                "leave it out");
  auto make = [this] { return make_dual_encoder(model_options_, "model"); };
  seed_torch(recipe_, Draw::kWeights);
  model_ = make();
  model_->train();
  if (recipe_.objective.image_proxies > 0 || recipe_.objective.text_proxies > 0) add_proxies();
  averaged_ = make();
  replicas_ = std::make_unique<Replicas>(model_, make, std::max<int64_t>(recipe_.replicas, 1), precision_of(recipe_));
}

void ContrastiveLearner::add_proxies() {
  std::vector<int64_t> counts(data_.pictures.concepts.size(), 0), proxy_of;
  for (const auto& picture : data_.pictures.pictures) ++counts[static_cast<size_t>(picture.concept_index)];
  int64_t next = 0;
  for (const int64_t count : counts) proxy_of.push_back(count >= recipe_.objective.proxy_pictures ? next++ : -1);
  if (next == 0) throw Error("no concept has that many pictures", "objective.proxy_pictures");
  proxy_of_ = torch::tensor(proxy_of, torch::kInt64);
  const int64_t dim = model_->options().dim;
  proxies_ = (torch::randn({next, dim}) / std::sqrt(static_cast<double>(dim))).requires_grad_();
  proxy_scale_ = torch::full({}, std::log(recipe_.objective.proxy_scale)).requires_grad_();
}

NamedTensors ContrastiveLearner::trained() const {
  NamedTensors all = ModelLearner::trained();
  for (const auto& item : proxies()) all.push_back(item);
  return all;
}

NamedTensors ContrastiveLearner::tensors() const {
  NamedTensors all = ModelLearner::tensors();
  for (const auto& item : proxies()) all.push_back(item);
  return all;
}

/// What is trained beside the model, if anything is.
NamedTensors ContrastiveLearner::proxies() const {
  if (!proxies_.defined()) return {};
  return {{"proxies", proxies_}, {"proxy_scale", proxy_scale_}};
}

void ContrastiveLearner::begin(int64_t step) {
  batches_ = prefetch<Batch>(step, [this](int64_t number) { return maker_->make(number); });
}

Tensor ContrastiveLearner::loss_of(int64_t) {
  const Batch batch = batches_->next();
  features_ = replicas_->forward(batch.pixels, batch.candidates.texts);
  const Tensor logits = model_->logits(features_.images, features_.texts);
  const Tensor loss = contrastive_loss(recipe_.objective, logits, batch.candidates.match, batch.candidates.begins);
  return proxies_.defined() ? with_proxies(loss, batch) : loss;
}

/// The loss and what it adds to learn the proxies by.
Tensor ContrastiveLearner::with_proxies(Tensor loss, const Batch& batch) const {
  const ObjectiveOptions& o = recipe_.objective;
  const Tensor scale = proxy_scale_.exp(), proxies = unit(proxies_);
  const Tensor& named = batch.candidates.concepts;  // -1: a keyword
  const Tensor texts = torch::where(named.ge(0), proxy_of_.index_select(0, named.clamp_min(0)), named);
  const Tensor images = proxy_of_.index_select(0, batch.concepts);
  if (o.image_proxies > 0)
    loss = loss + o.image_proxies * proxy_loss(unit(features_.images), proxies, scale, images, o.proxy_smoothing);
  if (o.text_proxies > 0)
    loss = loss + o.text_proxies * proxy_loss(unit(features_.texts), proxies, scale, texts, o.proxy_smoothing);
  if (o.text_alignment > 0) loss = loss + o.text_alignment * alignment_loss(unit(features_.texts), proxies, texts);
  return loss;
}

void ContrastiveLearner::backward(const Tensor& loss) {
  ModelLearner::backward(loss);
  replicas_->backward(features_);
}

double ContrastiveLearner::step(int64_t number) {
  return number < recipe_.steps ? ModelLearner::step(number) : name_step(number);
}

double ContrastiveLearner::name_step(int64_t number) {
  const uint64_t seed = mix_seed(static_cast<uint64_t>(recipe_.seed), kNames);
  Random random(mix_seed(seed, static_cast<uint64_t>(number)));
  const Candidates names = names_->draw({}, random);
  features_ = replicas_->forward({}, names.texts);
  const Tensor proxies = unit(proxies_).detach(), texts = unit(features_.texts);
  const Tensor wanted = proxy_of_.index_select(0, names.concepts);
  const Tensor loss = alignment_loss(texts, proxies, wanted) * std::max(recipe_.objective.text_alignment, 1.0) +
                      proxy_loss(texts, proxies, proxy_scale_.detach().exp(), wanted, 0);
  return learn(loss, number);
}

double ContrastiveLearner::rate_factor(int64_t number) const {
  if (number < recipe_.steps) return ModelLearner::rate_factor(number);
  ScheduleOptions names = recipe_.schedule;
  names.restarts.clear();
  return schedule_factor(names, number - recipe_.steps, recipe_.names.steps) * recipe_.names.learning_rate /
         recipe_.optimizer.learning_rate;
}

void ContrastiveLearner::bound() {
  model_->logit_scale.clamp_(-20, std::log(recipe_.objective.max_scale));
  if (proxy_scale_.defined()) proxy_scale_.clamp_(-20, std::log(recipe_.objective.max_scale));
}

std::pair<int64_t, std::string> ContrastiveLearner::items(int64_t number) const {
  if (number < recipe_.steps) return ModelLearner::items(number);
  return {recipe_.names.candidates * recipe_.names.languages_per_step, "names"};
}

Json ContrastiveLearner::metrics() const { return {{"scale", model_->logit_scale.exp().item<double>()}}; }

Scores ContrastiveLearner::evaluate(const NamedTensors& averages, double& main) {
  copy_weights(averages, *averaged_);
  Scores scores;
  for (const auto& [language, score] : evaluator_->run(*averaged_, precision_of(recipe_)))
    scores[language] = {{"top1", score.top1}, {"top5", score.top5}, {"recall10", score.recall10}};
  main = scores.at(recipe_.evaluation.languages.front()).at("top1");
  return scores;
}

void ContrastiveLearner::save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const {
  Model model = make_model({{"model_type", "tessera-dual-encoder"}, {"dual_encoder", model_options_}}, "recipe");
  copy_weights(averages, *model.module);
  model.processor = training_processor(recipe_.data);
  model.tokenizer = tokenizer_;
  save_model(model, folder, torch::kBFloat16);
}

Json ContrastiveLearner::data_summary() const { return {{"pictures", data_.pictures.pictures.size()}}; }

}  // namespace tessera

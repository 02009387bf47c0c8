#include "train/trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/autograd.h>

#include <chrono>
#include <cmath>
#include <cstdio>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/stop.h"
#include "core/threads.h"
#include "models/model.h"
#include "train/report.h"
#include "train/tokenizer_recipe.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kLogEvery = 20;                                       // steps per line of the metrics
enum Purpose : uint64_t { kWeights = 11, kDropout = 12, kNames = 13 };  // see loader.cpp for the others

void seed_torch(const Recipe& recipe, Purpose purpose, int64_t number = 0) {
  auto generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard lock(generator.mutex());
  generator.set_current_seed(mix_seed(static_cast<uint64_t>(recipe.seed), purpose, static_cast<uint64_t>(number)));
}

double checked(const Tensor& loss, int64_t number) {
  const double value = loss.item<double>();
  if (!std::isfinite(value))
    throw Error("the loss is " + std::to_string(value), "step " + std::to_string(number),
                "lower the learning rate; the last state is kept");
  return value;
}

}  // namespace

Trainer::Trainer(Recipe recipe, RunControl control) : recipe_(std::move(recipe)), control_(std::move(control)) {
  if (recipe_.threads > 0) use_threads(static_cast<int>(recipe_.threads));
  // Replicas take the cores; threads inside their operations, or in the little work between, would only wait for them.
  if (recipe_.replicas > 1) use_threads(1);
  dtype_ = recipe_.precision == "bfloat16" ? torch::kBFloat16 : torch::kFloat32;
  read_data();
  build_model();
  open_folder();
}

Trainer::~Trainer() = default;

void Trainer::read_data() {
  for (const auto& source : recipe_.data.sources) {
    const auto before = static_cast<int64_t>(pictures_.pictures.size());
    pictures_.read(source.shards);
    auto& indices = sources_.emplace_back();
    for (auto i = before; i < static_cast<int64_t>(pictures_.pictures.size()); ++i) {
      const Picture& picture = pictures_.pictures[static_cast<size_t>(i)];
      if (picture.split != "train")
        throw Error("belongs to the split '" + picture.split + "' and must not be trained on", picture.key,
                    "take its shard out of data.sources");
      indices.push_back(i);
    }
  }
  if (recipe_.data.balance > 0)
    for (auto& indices : sources_) indices = pictures_.balanced(indices, recipe_.data.balance);
  if (recipe_.steps == 0) {
    const double passes = recipe_.epochs * static_cast<double>(pictures_.pictures.size());
    recipe_.steps =
        std::max<int64_t>(1, std::llround(passes / static_cast<double>(recipe_.batch * recipe_.accumulate)));
  }
  tokenizer_ =
      std::make_shared<Tokenizer>(provide_tokenizer(recipe_, pictures_.concepts, control_.folder / "tokenizer"));
  padding_id_ = tokenizer_->special_ids().pad.value_or(0);
  const Tokenize tokenize = tokenize_with(*tokenizer_);
  captions_ = std::make_unique<Captions>(pictures_.concepts, recipe_.captions, tokenize, padding_id_);
  CaptionOptions names = recipe_.captions;
  names.candidates = recipe_.names.candidates;
  names.languages_per_step = recipe_.names.languages_per_step;
  names.keyword = 0;
  if (recipe_.names.steps > 0) names_ = std::make_unique<Captions>(pictures_.concepts, names, tokenize, padding_id_);
  maker_ = std::make_unique<BatchMaker>(recipe_, pictures_, sources_, *captions_);
  if (recipe_.evaluation.every > 0 && !recipe_.evaluation.shards.empty())
    evaluator_ = std::make_unique<Evaluator>(recipe_, tokenize, padding_id_);
}

void Trainer::build_model() {
  model_options_ = recipe_.model;
  Json& text = model_options_["text"];
  if (text.is_object() && !text.contains("vocabulary")) text["vocabulary"] = tokenizer_->vocab_size();
  if (text.is_object() && text["vocabulary"].is_number() &&
      text["vocabulary"].get<int64_t>() < tokenizer_->vocab_size())
    throw Error("the tokenizer has " + std::to_string(tokenizer_->vocab_size()) + " tokens", "model.text.vocabulary",
                "leave it out");
  auto make = [this] { return make_dual_encoder(model_options_, "model"); };
  seed_torch(recipe_, kWeights);
  model_ = make();
  model_->train();
  NamedTensors trained;
  for (const auto& item : model_->named_parameters()) trained.emplace_back(item.key(), item.value());
  if (recipe_.objective.image_proxies > 0 || recipe_.objective.text_proxies > 0) add_proxies(trained);
  averaged_ = make();
  replicas_ = std::make_unique<Replicas>(model_, make, std::max<int64_t>(recipe_.replicas, 1), dtype_);
  optimizer_ = std::make_unique<AdamW>(std::move(trained), recipe_.optimizer);
  if (recipe_.ema > 0) ema_ = std::make_unique<Ema>(weights_of(*model_), recipe_.ema);
}

void Trainer::add_proxies(NamedTensors& trained) {
  std::vector<int64_t> counts(pictures_.concepts.size(), 0), proxy_of;
  for (const auto& picture : pictures_.pictures) ++counts[static_cast<size_t>(picture.concept_index)];
  int64_t next = 0;
  for (const int64_t count : counts) proxy_of.push_back(count >= recipe_.objective.proxy_pictures ? next++ : -1);
  if (next == 0) throw Error("no concept has that many pictures", "objective.proxy_pictures");
  proxy_of_ = torch::tensor(proxy_of, torch::kInt64);
  const int64_t dim = model_->options().dim;
  proxies_ = (torch::randn({next, dim}) / std::sqrt(static_cast<double>(dim))).requires_grad_();
  proxy_scale_ = torch::full({}, std::log(recipe_.objective.proxy_scale)).requires_grad_();
  trained.emplace_back("proxies", proxies_);
  trained.emplace_back("proxy_scale", proxy_scale_);
}

NamedTensors Trainer::all_tensors() const {
  NamedTensors all = prefixed("model.", weights_of(*model_));
  if (proxies_.defined()) all.emplace_back("proxies", proxies_), all.emplace_back("proxy_scale", proxy_scale_);
  for (const auto& item : prefixed("optimizer.", optimizer_->state())) all.push_back(item);
  if (ema_)
    for (const auto& item : prefixed("ema.", ema_->averages())) all.push_back(item);
  return all;
}

void Trainer::open_folder() {
  const fs::path state = control_.folder / "state.safetensors", recipe = control_.folder / "recipe.json";
  if (fs::exists(state)) {
    const Recipe before = read_options<Recipe>(read_json(recipe), recipe.string());
    const std::string key = difference(before, recipe_);
    if (!key.empty() && !control_.new_recipe)
      throw Error("the run was begun with another value of '" + key + "'", control_.folder.string(),
                  "give another run folder, or the same recipe");
    state_ = load_state(state, all_tensors());
    optimizer_->set_steps(state_.step);
  }
  write_file(recipe, write_options(recipe_).dump(2) + "\n");
  metrics_ = std::make_unique<MetricsLog>(control_.folder / "metrics.jsonl", state_.metrics_bytes);
}

Tensor Trainer::loss_of(const Batch& batch, const Replicas::Features& features) {
  const ObjectiveOptions& o = recipe_.objective;
  const Tensor logits = model_->logits(features.images, features.texts);
  Tensor loss = contrastive_loss(o, logits, batch.candidates.match, batch.candidates.begins);
  if (!proxies_.defined()) return loss;
  const Tensor scale = proxy_scale_.exp(), proxies = unit(proxies_);
  const Tensor& named = batch.candidates.concepts;  // -1: a keyword
  const Tensor texts = torch::where(named.ge(0), proxy_of_.index_select(0, named.clamp_min(0)), named);
  const Tensor images = proxy_of_.index_select(0, batch.concepts);
  if (o.image_proxies > 0)
    loss = loss + o.image_proxies * proxy_loss(unit(features.images), proxies, scale, images, o.proxy_smoothing);
  if (o.text_proxies > 0)
    loss = loss + o.text_proxies * proxy_loss(unit(features.texts), proxies, scale, texts, o.proxy_smoothing);
  if (o.text_alignment > 0) loss = loss + o.text_alignment * alignment_loss(unit(features.texts), proxies, texts);
  return loss;
}

double Trainer::step(int64_t number, Prefetcher<Batch>& batches) {
  seed_torch(recipe_, kDropout, number);
  if (number >= recipe_.steps) return name_step(number);
  double sum = 0;
  const auto parts = static_cast<double>(recipe_.accumulate);
  for (int64_t i = 0; i < recipe_.accumulate; ++i) {
    const Batch batch = batches.next();
    const Replicas::Features features = replicas_->forward(batch.pixels, batch.candidates.texts);
    const Tensor loss = loss_of(batch, features) / parts;
    sum += checked(loss, number);
    torch::autograd::backward({loss}, {});
    replicas_->backward(features);
  }
  return sum;
}

double Trainer::name_step(int64_t number) {
  const uint64_t seed = mix_seed(static_cast<uint64_t>(recipe_.seed), kNames);
  Random random(mix_seed(seed, static_cast<uint64_t>(number)));
  const Candidates names = names_->draw({}, random);
  const Replicas::Features features = replicas_->forward({}, names.texts);
  const Tensor proxies = unit(proxies_).detach(), texts = unit(features.texts);
  const Tensor wanted = proxy_of_.index_select(0, names.concepts);
  const Tensor loss = alignment_loss(texts, proxies, wanted) * std::max(recipe_.objective.text_alignment, 1.0) +
                      proxy_loss(texts, proxies, proxy_scale_.detach().exp(), wanted, 0);
  const double value = checked(loss, number);
  torch::autograd::backward({loss}, {});
  replicas_->backward(features);
  return value;
}

/// What the optimizer's learning rate is multiplied with.
double Trainer::rate_factor(int64_t number) const {
  if (number < recipe_.steps) return schedule_factor(recipe_.schedule, number, recipe_.steps);
  ScheduleOptions names = recipe_.schedule;
  names.restarts.clear();
  return schedule_factor(names, number - recipe_.steps, recipe_.names.steps) * recipe_.names.learning_rate /
         recipe_.optimizer.learning_rate;
}

void Trainer::after_step(double loss, double norm, double factor) {
  state_.loss_sum += loss;
  ++state_.loss_count;
  result_.loss = loss;
  result_.step = ++state_.step;
  if (ema_) ema_->update(state_.step);
  if (state_.step % kLogEvery != 0 && state_.step != steps()) return;
  metrics_->write({{"step", state_.step},
                   {"loss", state_.loss_sum / static_cast<double>(state_.loss_count)},
                   {"gradient_norm", norm},
                   {"learning_rate", recipe_.optimizer.learning_rate * factor},
                   {"scale", model_->logit_scale.exp().item<double>()},
                   {"seconds", state_.seconds}});
  state_.loss_sum = 0;
  state_.loss_count = 0;
}

void Trainer::evaluate() {
  copy_weights(ema_ ? ema_->averages() : weights_of(*model_), *averaged_);
  result_.scores = evaluator_->run(*averaged_, dtype_);
  Json line = {{"step", state_.step}, {"evaluation", Json::object()}};
  std::string shown = "step " + std::to_string(state_.step) + ":";
  for (const auto& [language, score] : result_.scores) {
    line["evaluation"][language] = {{"top1", score.top1},
                                    {"top5", score.top5},
                                    {"recall10", score.recall10},
                                    {"pictures", score.pictures},
                                    {"names", score.names}};
    char text[96];
    std::snprintf(text, sizeof text, "  %s top-1 %.1f %%, top-5 %.1f %%, recall@10 %.1f %%", language.c_str(),
                  100 * score.top1, 100 * score.top5, 100 * score.recall10);
    shown += text;
  }
  metrics_->write(line);
  if (!Progress::quiet) std::fprintf(stderr, "\n%s\n", shown.c_str());
  const double top1 = result_.scores.at(recipe_.evaluation.languages.front()).top1;
  if (top1 <= state_.best) return;
  state_.best = top1;
  state_.best_step = state_.step;
  save_state(control_.folder / "best.safetensors", weights_of(*averaged_), state_);
}

void Trainer::save() {
  state_.metrics_bytes = metrics_->bytes();
  save_state(control_.folder / "state.safetensors", all_tensors(), state_);
  write_report(control_.folder, recipe_);
}

RunResult Trainer::run() {
  const StopSignals signals;
  const int64_t micro = recipe_.accumulate;
  Prefetcher<Batch> batches([this](int64_t number) { return maker_->make(number); },
                            std::min(state_.step, recipe_.steps) * micro, recipe_.steps * micro, recipe_.workers,
                            2 * recipe_.workers + 2);
  Progress progress("training", steps(), "steps");
  result_.step = state_.step;
  while (state_.step < steps()) {
    const auto begun = Clock::now();
    const bool pictures = state_.step < recipe_.steps;
    const double factor = rate_factor(state_.step);
    const double loss = step(state_.step, batches);
    double norm = 0;
    try {
      norm = clip_gradients(optimizer_->parameters(), recipe_.optimizer.clip);
    } catch (const Error& error) {
      throw error.within("step " + std::to_string(state_.step));
    }
    optimizer_->step(factor);
    optimizer_->clear_gradients();
    {
      const torch::NoGradGuard no_gradient;
      model_->logit_scale.clamp_(-20, std::log(recipe_.objective.max_scale));
      if (proxy_scale_.defined()) proxy_scale_.clamp_(-20, std::log(recipe_.objective.max_scale));
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    state_.seconds += seconds;
    after_step(loss, norm, factor);
    char note[96];
    const double items = static_cast<double>(pictures ? recipe_.batch * micro
                                                      : recipe_.names.candidates * recipe_.names.languages_per_step);
    std::snprintf(note, sizeof note, "loss %.4f  %.0f %s/s", loss, items / seconds, pictures ? "pictures" : "names");
    progress.set(state_.step, note);
    const bool last = state_.step == steps();
    if (evaluator_ && (last || state_.step % recipe_.evaluation.every == 0 || state_.step == recipe_.steps)) evaluate();
    const bool stop = StopSignals::came() != 0 || (control_.stop && control_.stop(state_.step));
    if (last || stop || state_.step % recipe_.checkpoint_every == 0) save();
    if (stop && !last) {
      if (!Progress::quiet)
        std::fprintf(stderr, "\nstopped after step %lld; the same command goes on from there\n",
                     static_cast<long long>(state_.step));
      return result_;
    }
  }
  result_.finished = true;
  return result_;
}

void Trainer::save_model_folder(const fs::path& folder) {
  Model model = make_model({{"model_type", "tessera-dual-encoder"}, {"dual_encoder", model_options_}}, "recipe");
  copy_weights(ema_ ? ema_->averages() : weights_of(*model_), *model.module);
  ImageProcessorOptions options;
  options.kind = "CLIP";
  options.height = options.width = recipe_.data.size;
  options.filter = Filter::kBicubic;
  for (size_t c = 0; c < 3; ++c) options.mean[c] = recipe_.data.mean[c], options.std[c] = recipe_.data.std[c];
  model.processor = std::make_shared<ImageProcessor>(options);
  model.tokenizer = tokenizer_;
  save_model(model, folder, torch::kBFloat16);
  write_file(folder / "recipe.json", write_options(recipe_).dump(2) + "\n");
  Json summary = {{"steps", state_.step}, {"seconds", state_.seconds}, {"pictures", pictures_.pictures.size()}};
  for (const auto& [language, score] : result_.scores)
    summary["evaluation"][language] = {{"top1", score.top1}, {"top5", score.top5}, {"recall10", score.recall10}};
  write_file(folder / "metrics.json", summary.dump(2) + "\n");
}

}  // namespace tessera

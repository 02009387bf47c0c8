#include "train/trainer.h"

#include <chrono>
#include <cstdio>

#include "core/error.h"
#include "core/files.h"
#include "core/freed_memory.h"
#include "core/progress.h"
#include "core/stop.h"
#include "core/threads.h"
#include "train/classify_learner.h"
#include "train/contrastive_learner.h"
#include "train/in_context_learner.h"
#include "train/report.h"
#include "train/sound_learner.h"
#include "train/supernet_learner.h"
#include "train/talk_learner.h"
#include "train/tune_learner.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int64_t kLogEvery = 20;  // steps per line of the metrics

std::string percent(double part) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * part);
  return text;
}

std::string plain(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

}  // namespace

std::string to_string(const std::map<std::string, double>& measures) {
  std::string shown;
  for (const auto& [measure, value] : measures)
    shown +=
        (shown.empty() ? "" : ", ") + measure_title(measure) + " " + (is_part(measure) ? percent(value) : plain(value));
  return shown;
}

Trainer::Trainer(Recipe recipe, RunControl control) : recipe_(std::move(recipe)), control_(std::move(control)) {
  if (recipe_.threads > 0) use_threads(static_cast<int>(recipe_.threads));
  // Replicas take the cores; threads inside their operations, or in the little work between, would only wait for them.
  if (recipe_.replicas > 1) use_threads(1);
  if (recipe_.tune)
    learner_ = std::make_unique<TuneLearner>(recipe_);
  else if (recipe_.search)
    learner_ = std::make_unique<SupernetLearner>(recipe_);
  else if (!recipe_.classify.empty())
    learner_ = std::make_unique<ClassifyLearner>(recipe_);
  else if (recipe_.in_context)
    learner_ = std::make_unique<InContextLearner>(recipe_);
  else if (recipe_.sounds)
    learner_ = make_sound_learner(recipe_);
  else if (recipe_.base.empty())
    learner_ = std::make_unique<ContrastiveLearner>(recipe_, control_.folder);
  else
    learner_ = std::make_unique<TalkLearner>(recipe_);
  optimizer_ = std::make_unique<AdamW>(learner_->trained(), recipe_.optimizer);
  if (recipe_.ema > 0) ema_ = std::make_unique<Ema>(learner_->weights(), recipe_.ema);
  open_folder();
}

Trainer::~Trainer() = default;

NamedTensors Trainer::all_tensors() const {
  NamedTensors all = learner_->tensors();
  for (const auto& item : prefixed("optimizer.", optimizer_->state())) all.push_back(item);
  if (ema_)
    for (const auto& item : prefixed("ema.", ema_->averages())) all.push_back(item);
  return all;
}

NamedTensors Trainer::averages() const { return ema_ ? ema_->averages() : learner_->weights(); }

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

void Trainer::after_step(double loss, double norm, double factor) {
  state_.loss_sum += loss;
  ++state_.loss_count;
  result_.loss = loss;
  result_.step = ++state_.step;
  if (ema_) ema_->update(state_.step);
  if (state_.step % kLogEvery != 0 && state_.step != learner_->steps()) return;
  Json line = {{"step", state_.step},
               {"loss", state_.loss_sum / static_cast<double>(state_.loss_count)},
               {"gradient_norm", norm},
               {"learning_rate", recipe_.optimizer.learning_rate * factor},
               {"seconds", state_.seconds}};
  line.update(learner_->metrics());
  metrics_->write(line);
  state_.loss_sum = 0;
  state_.loss_count = 0;
}

void Trainer::evaluate() {
  const NamedTensors weights = averages();
  double main = 0;
  result_.scores = learner_->evaluate(weights, main);
  metrics_->write({{"step", state_.step}, {"evaluation", result_.scores}});
  if (!Progress::quiet) {
    std::fprintf(stderr, "\nstep %lld\n", static_cast<long long>(state_.step));
    for (const auto& [set, measures] : result_.scores)
      std::fprintf(stderr, "  %s: %s\n", set.c_str(), to_string(measures).c_str());
  }
  if (main <= state_.best) return;
  state_.best = main;
  state_.best_step = state_.step;
  save_state(control_.folder / "best.safetensors", weights, state_);
}

void Trainer::save() {
  state_.metrics_bytes = metrics_->bytes();
  save_state(control_.folder / "state.safetensors", all_tensors(), state_);
  write_report(control_.folder, recipe_);
}

RunResult Trainer::run() {
  const StopSignals signals;
  keep_freed_memory();
  learner_->begin(state_.step);
  Progress progress("training", learner_->steps(), "steps");
  result_.step = state_.step;
  while (state_.step < learner_->steps()) {
    const auto begun = Clock::now();
    const double factor = learner_->rate_factor(state_.step);
    const auto [count, unit] = learner_->items(state_.step);
    seed_torch(recipe_, Draw::kDropout, state_.step);
    const double loss = learner_->step(state_.step);
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
      learner_->bound();
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    state_.seconds += seconds;
    after_step(loss, norm, factor);
    char note[96];
    std::snprintf(note, sizeof note, "loss %.4f  %.0f %s/s", loss, static_cast<double>(count) / seconds, unit.c_str());
    progress.set(state_.step, note);
    const bool last = state_.step == learner_->steps();
    const bool due = state_.step % std::max<int64_t>(recipe_.evaluation.every, 1) == 0;
    if (learner_->evaluates() && (last || due || state_.step == learner_->picture_steps())) evaluate();
    const bool stop = StopSignals::came() != 0 || (control_.stop && control_.stop(state_.step));
    if (last || stop || state_.step % recipe_.checkpoint_every == 0) save();
    if (stop && !last) {
      if (!Progress::quiet)
        std::fprintf(stderr, "\nstopped after step %lld; the same command goes on from there\n",
                     static_cast<long long>(state_.step));
      return result_;
    }
  }
  // A run that was killed before its model was written has no scores of its own: it made no step.
  if (learner_->evaluates() && result_.scores.empty()) evaluate();
  result_.finished = true;
  return result_;
}

void Trainer::save_model_folder(const fs::path& folder) {
  learner_->save_model_folder(averages(), folder);
  write_file(folder / "recipe.json", write_options(recipe_).dump(2) + "\n");
  Json summary = {{"steps", state_.step}, {"seconds", state_.seconds}};
  summary.update(learner_->summary());
  if (!result_.scores.empty()) summary["evaluation"] = result_.scores;
  write_file(folder / "metrics.json", summary.dump(2) + "\n");
}

}  // namespace tessera

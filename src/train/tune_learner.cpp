#include "train/tune_learner.h"

#include <cmath>
#include <cstdio>

#include "core/compat.h"
#include "core/error.h"
#include "core/progress.h"
#include "language/encoder_decoder.h"
#include "layers/key_value_cache.h"
#include "layers/recompute.h"
#include "tasks/adapt.h"
#include "train/adapter_recipe.h"
#include "train/row_loss.h"
#include "train/run_files.h"
#include "vlm/talker.h"

namespace tessera {
namespace {

constexpr int64_t kIgnored = -100;
constexpr int64_t kLongest = 1024;

/// Hidden states to logits, rows x vocabulary.
std::function<Tensor(const Tensor&)> head_of(LanguageModel& model) {
  return [&model](const Tensor& hidden) { return model.logits(hidden.unsqueeze(0)).squeeze(0); };
}

/// Other values in some tensors, while it lives.
class Swapped {
 public:
  Swapped(NamedTensors tensors, const NamedTensors& values) : tensors_(std::move(tensors)) {
    const torch::NoGradGuard no_gradient;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      kept_.push_back(tensors_[i].second.detach().clone());
      tensors_[i].second.copy_(values[i].second);
    }
  }
  ~Swapped() {
    const torch::NoGradGuard no_gradient;
    for (size_t i = 0; i < tensors_.size(); ++i) tensors_[i].second.copy_(kept_[i]);
  }
  Swapped(const Swapped&) = delete;
  Swapped& operator=(const Swapped&) = delete;

 private:
  NamedTensors tensors_;
  std::vector<Tensor> kept_;
};

void refuse_others(const Model& base, const TuneOptions& options) {
  auto& language = base.as<LanguageModel>("be tuned on conversations");
  const auto* vision = dynamic_cast<VisionLanguage*>(&language);
  if (dynamic_cast<Talker*>(&language))
    throw Error("a talker learns from questions about pictures", base.folder.string(), "see recipes/talk.json");
  if (dynamic_cast<EncoderDecoder*>(&language) || (vision && dynamic_cast<EncoderDecoder*>(&vision->language())))
    throw Error("a model that reads a source first cannot be tuned on conversations", base.folder.string());
  if (vision && vision->bridge().reads_text())
    throw Error(
        "its bridge reads an instruction beside each picture (InstructBLIP), and cannot be tuned on conversations",
        base.folder.string(), "take a model whose bridge reads the picture alone: LLaVA, BLIP-2");
  if (vision && adds_tokens(options))
    throw Error("virtual tokens in front of pictures are not supported", "tune.method", "take lora for this model");
}

}  // namespace

TuneLearner::TuneLearner(Recipe& recipe)
    : Learner(recipe, "rows"), options_(*recipe.tune), base_(load_model(recipe.base)) {
  refuse_others(base_, options_);
  vision_ = dynamic_cast<VisionLanguage*>(base_.module.get());
  attach();
  const int64_t context = model_->context();
  length_ = options_.length > 0 ? options_.length : context > 0 ? std::min(context, kLongest) : kLongest;
  packs_ = options_.packing && can_pack();
  if (options_.packing && !packs_ && !Progress::quiet)
    std::fprintf(stderr, "every example has a row of its own: this model or method cannot keep several apart\n");
  data_ = read(options_.data, packs_ ? length_ : 0);
  if (!options_.validation.empty()) validation_ = read(options_.validation, 0);
  fill_steps(recipe, data_->rows(), Rounding::kUp);
}

void TuneLearner::attach() {
  seed_torch(recipe_, Draw::kWeights);
  const PeftConfig config = adapter_config(options_, base_);
  const auto language = std::dynamic_pointer_cast<LanguageModel>(base_.module);
  if (adds_tokens(options_)) {
    auto tokens = VirtualTokens::attach(language, language_config(base_), config);
    tokens.train_only();
    prompted_ = std::make_shared<Prompted>(language, std::move(tokens));
    prompted_->eval();
    model_ = prompted_.get();
    return;
  }
  adapter_ = Adapter::attach(*base_.module, base_.names, config);
  adapter_->train_only();
  model_ = language.get();
}

std::unique_ptr<TuneBatches> TuneLearner::read(const std::vector<std::string>& files, int64_t capacity) const {
  const ExampleReader reader(base_, {.length = length_, .truncate = options_.truncate});
  std::vector<TuneExample> examples;
  for (const std::string& file : files)
    for (TuneExample& example : reader.read(file)) examples.push_back(std::move(example));
  return std::make_unique<TuneBatches>(
      std::move(examples), base_, TuneBatchOptions{.batch = recipe_.batch, .capacity = capacity, .seed = recipe_.seed});
}

/// Attention keeps the sequences of a row apart; a recurrence runs on over their borders, and a prompt that is read in
/// both directions, or pictures in front of a row, belong to the row as a whole.
bool TuneLearner::can_pack() const {
  if (prompted_) return false;
  const LanguageState state = model_->start();
  for (const auto& mixer : state.mixers)
    if (!std::dynamic_pointer_cast<KeyValueCache>(mixer)) return false;
  if (!vision_) return true;
  if (vision_->options().join != "replace") return false;
  const torch::NoGradGuard no_gradient;
  const Tensor none = torch::zeros({1, 2}, torch::kInt64);
  const Tokens joined = vision_->join({}, {none + (vision_->options().placeholder_id == 0 ? 1 : 0), {}, none});
  return !joined.at.defined() && !joined.span.defined();
}

NamedTensors TuneLearner::weights() const {
  if (prompted_) return {{"prompt_embeddings", prompted_->tokens().vectors()}};
  return adapter_->tensors();
}

NamedTensors TuneLearner::tensors() const { return prefixed("adapter.", weights()); }

void TuneLearner::begin(int64_t step) {
  batches_ = prefetch<TuneBatch>(step, [this](int64_t number) { return data_->make(number); });
}

/// Variations drop; the model around them computes as it will when it is used.
void TuneLearner::train(bool on) {
  for (const auto& module : base_.module->modules())
    if (auto* variation = dynamic_cast<Variation*>(module.get())) variation->train(on);
}

std::pair<Tensor, Tensor> TuneLearner::read(LanguageModel& model, const TuneBatch& batch) const {
  Tokens tokens;
  if (vision_) {
    MultimodalBatch seen;
    seen.pictures = batch.pictures;
    seen.text = batch.text;
    tokens = vision_->join(vision_->picture_tokens(seen), batch.text);
  } else {
    tokens.x = model.embed(batch.text.ids);
    tokens.mask = batch.text.mask, tokens.ids = batch.text.ids;
  }
  if (batch.at.defined()) tokens.at = batch.at;
  const Tensor hidden = model.hidden(tokens, nullptr).x;  // B x L x D
  const int64_t length = hidden.size(1) - 1, before = hidden.size(1) - batch.labels.size(1);
  const Tensor labels = torch::constant_pad_nd(batch.labels, {before, 0}, kIgnored).narrow(1, 1, length);
  const Tensor wanted = labels.ne(kIgnored);
  const Tensor at = wanted.flatten().nonzero().squeeze(1);
  const Tensor chosen = hidden.narrow(1, 0, length).reshape({-1, hidden.size(2)}).index_select(0, at);
  return {chosen, labels.masked_select(wanted)};
}

double TuneLearner::step(int64_t number) {
  train(true);
  std::vector<TuneBatch> parts;
  int64_t learned = 0;
  for (int64_t i = 0; i < recipe_.accumulate; ++i) {
    parts.push_back(batches_->next());
    learned += parts.back().learned;
  }
  double sum = 0;
  for (const TuneBatch& part : parts) {
    double loss = 0;
    {
      const Autocast autocast(precision_of(recipe_));
      std::optional<Recomputation> again;
      if (options_.checkpointing) again.emplace();
      const auto [hidden, labels] = read(*model_, part);
      loss = backward_by_rows(hidden, labels, head_of(*model_), 1 / static_cast<double>(learned));
    }
    sum += checked_loss(torch::scalar_tensor(loss), number);
  }
  return sum;
}

Scores TuneLearner::score(LanguageModel& model) const {
  const torch::NoGradGuard no_gradient;
  double loss = 0, right = 0, count = 0;
  validation_->each([&](const TuneBatch& batch) {
    const Autocast autocast(precision_of(recipe_));
    const auto [hidden, labels] = read(model, batch);
    const Tensor logits = head_of(model)(hidden).to(torch::kFloat32);
    const Tensor losses = torch::cross_entropy_loss(logits, labels, {}, at::Reduction::None);
    loss += losses.to(torch::kFloat64).sum().item<double>();
    right += logits.argmax(-1).eq(labels).sum().item<double>();
    count += static_cast<double>(labels.size(0));
  });
  return {{"validation", {{"accuracy", right / count}, {"loss", loss / count}}}};
}

Scores TuneLearner::evaluate(const NamedTensors& averages, double& main) {
  const Swapped swapped(weights(), averages);
  train(false);
  Scores scores = score(*model_);
  main = std::exp(-scores.at("validation").at("loss"));
  return scores;
}

Scores TuneLearner::evaluate_base() {
  if (!validation_) return {};
  if (prompted_) return score(base_.as<LanguageModel>("be tuned on conversations"));
  adapter_->activate(false);
  Scores scores = score(*model_);
  adapter_->activate(true);
  return scores;
}

void TuneLearner::save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const {
  const Swapped swapped(weights(), averages);
  if (prompted_)
    prompted_->tokens().save(folder);
  else
    adapter_->save(folder);
}

Json TuneLearner::data_summary() const { return {{"examples", data_->examples()}, {"rows", data_->rows()}}; }

}  // namespace tessera

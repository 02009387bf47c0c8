#include "train/sound_learner.h"

#include <algorithm>
#include <cmath>

#include "core/compat.h"
#include "core/error.h"
#include "core/files.h"
#include "layers/weights.h"
#include "train/ema.h"
#include "train/sample_order.h"

namespace tessera {
namespace {

constexpr uint64_t kOrder = 32, kMasks = 33;  // purposes of draws; see sounds.cpp for another
constexpr uint64_t kTests = 0x55A57;          // the seed of the masks of the tests, whatever the recipe's is
constexpr int64_t kBlock = 64;                // sounds that are evaluated at once
constexpr const char* kEncoder = "encoder.";
constexpr int64_t kPrefix = 2;  // the class token and the distillation token, before the patches

/// The averages' weights as the model has them.
template <class Type>
Type& with_weights(const NamedTensors& averages, Model& model) {
  copy_weights(averages, *model.module);
  model.module->eval();
  return dynamic_cast<Type&>(*model.module);
}

template <class Type>
Type& as_type(Module& module, const std::string& what) {
  if (auto* wanted = dynamic_cast<Type*>(&module)) return *wanted;
  throw Error("is no config of " + what, "model", "give fshape and tshape (SSAST); see recipes/keywords.json");
}

}  // namespace

SoundLearner::SoundLearner(Recipe& recipe) : ModelLearner(recipe, "sounds"), options_(*recipe.sounds) {
  const int64_t labelled = options_.task == "classify" ? options_.labelled : 0;
  train_ = read_spectrograms(options_.train, options_.spectrogram, labelled, recipe.seed);
  fill_steps(recipe, train_.pictures.size(0));
  if (options_.test.empty() || recipe.evaluation.every == 0) return;
  test_ = read_spectrograms(options_.test, options_.spectrogram);
  if (train_.labels != test_.labels)
    throw Error("has other classes than " + options_.train, options_.test, "give both the same folders");
}

void SoundLearner::build(const Json& config) {
  seed_torch(recipe_, Draw::kWeights);
  model_ = make_model(config, "recipe: model");
  averaged_ = make_model(config, "recipe: model");
  model_.module->train();
}

Tensor SoundLearner::loss_of(int64_t micro) {
  const auto rows = chosen_samples({recipe_.seed, kOrder, train_.pictures.size(0), recipe_.batch}, micro);
  const Autocast autocast(precision_of(recipe_));
  return loss_of_rows(torch::tensor(rows, torch::kInt64), micro);
}

void SoundLearner::save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const {
  Model model = make_model(model_.config, "recipe: model");
  copy_weights(averages, *model.module);
  save_model(model, folder);
  write_file(folder / "preprocessor_config.json", to_json(options_.spectrogram).dump(2) + "\n");
}

Json SoundLearner::data_summary() const { return {{"sounds", train_.pictures.size(0)}}; }

SoundPretrainingLearner::SoundPretrainingLearner(Recipe& recipe) : SoundLearner(recipe) {
  build(recipe.model);
  pretraining_ = &as_type<SpectrogramPretraining>(*model_.module, "masked pre-training");
  const VitOptions& vit = pretraining_->encoder().options();
  if (!vit.stride.empty() && vit.stride != vit.patch)
    throw Error("patches that overlap cannot be masked", "model", "give strides that are the patches' extents");
  const Grid grid = patch_grid(vit);
  rows_ = grid[0], columns_ = grid[1];
}

SoundPretrainingLearner::Losses SoundPretrainingLearner::losses(SpectrogramPretraining& model, const Tensor& pictures,
                                                                Random& random) const {
  const auto mask = [&] { return draw_masks(options_, pictures.size(0), rows_, columns_, random); };
  Losses losses{torch::zeros({}), torch::zeros({})};
  if (options_.pick_weight > 0) {  // each task has its own masks
    const auto picked = model.pick(pictures, mask());
    losses = {options_.pick_weight * picked.loss, picked.accuracy};
  }
  if (options_.draw_weight > 0) losses.sum = losses.sum + options_.draw_weight * model.draw(pictures, mask());
  return losses;
}

Tensor SoundPretrainingLearner::loss_of_rows(const Tensor& rows, int64_t micro) {
  Random random(mix_seed(static_cast<uint64_t>(recipe_.seed), kMasks, static_cast<uint64_t>(micro)));
  return losses(*pretraining_, train_.pictures.index_select(0, rows), random).sum;
}

Scores SoundPretrainingLearner::evaluate(const NamedTensors& averages, double& main) {
  const torch::NoGradGuard no_gradient;
  auto& model = with_weights<SpectrogramPretraining>(averages, averaged_);
  Random random(kTests);
  double loss = 0, picked = 0;
  const int64_t count = test_.pictures.size(0);
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t size = std::min(kBlock, count - begin);
    const Losses found = losses(model, test_.pictures.narrow(0, begin, size), random);
    const double share = static_cast<double>(size) / static_cast<double>(count);
    loss += share * found.sum.item<double>(), picked += share * found.picked.item<double>();
  }
  main = std::exp(-loss);
  return {{"unseen sounds", {{"picked", picked}, {"loss", loss}}}};
}

SoundClassifierLearner::SoundClassifierLearner(Recipe& recipe) : SoundLearner(recipe) {
  Json config = recipe.model;
  Json names = Json::object();
  for (size_t i = 0; i < train_.labels.size(); ++i) names[std::to_string(i)] = train_.labels[i];
  config["id2label"] = names;
  if (config.contains("fshape") && !config.contains("pretraining")) config["pretraining"] = Json::object();
  build(config);
  classifier_ = &as_type<ImageClassifier>(*model_.module, "a classifier");
  if (!recipe.base.empty()) begin_from(load_model(recipe.base));
}

/// Copies the encoder; positions of another grid are cut or stretched as the official code does.
void SoundClassifierLearner::begin_from(const Model& base) {
  const torch::NoGradGuard no_gradient;
  const auto own = named_tensors(*model_.module), given = named_tensors(*base.module);
  const auto* encoder = dynamic_cast<const Vit*>(&classifier_->encoder());
  const auto* pretraining = dynamic_cast<const SpectrogramPretraining*>(base.module.get());
  if (!encoder || !pretraining)
    throw Error("is no pre-trained SSAST", recipe_.base, "give what a recipe with the task \"pretrain\" has made");
  for (const auto& [path, tensor] : own) {
    if (!path.starts_with(kEncoder)) continue;
    const auto found = given.find(path);
    if (found == given.end()) throw Error("has no '" + path + "'", recipe_.base);
    Tensor value = found->second;
    if (path == "encoder.positions")
      value = adapt_spectrogram_positions(value, kPrefix, patch_grid(pretraining->encoder().options()),
                                          patch_grid(encoder->options()));
    if (value.sizes() != tensor.sizes())
      throw Error("has '" + path + "' of another size than the model", recipe_.base, "give both the same sizes");
    Tensor(tensor).copy_(value);
  }
}

Tensor SoundClassifierLearner::loss_of_rows(const Tensor& rows, int64_t) {
  const Tensor logits = classifier_->forward(train_.pictures.index_select(0, rows)).to(torch::kFloat32);
  return torch::cross_entropy_loss(logits, train_.classes.index_select(0, rows), {}, at::Reduction::Mean, -100,
                                   recipe_.objective.label_smoothing);
}

Scores SoundClassifierLearner::evaluate(const NamedTensors& averages, double& main) {
  const torch::NoGradGuard no_gradient;
  auto& model = with_weights<ImageClassifier>(averages, averaged_);
  std::vector<Tensor> blocks;
  const int64_t count = test_.pictures.size(0);
  for (int64_t begin = 0; begin < count; begin += kBlock)
    blocks.push_back(model.forward(test_.pictures.narrow(0, begin, std::min(kBlock, count - begin))));
  const Tensor logits = torch::cat(blocks).to(torch::kFloat32);
  main = logits.argmax(1).eq(test_.classes).to(torch::kFloat64).mean().item<double>();
  return {
      {"unseen sounds", {{"top1", main}, {"loss", torch::cross_entropy_loss(logits, test_.classes).item<double>()}}}};
}

std::unique_ptr<SoundLearner> make_sound_learner(Recipe& recipe) {
  if (recipe.sounds->task == "pretrain") return std::make_unique<SoundPretrainingLearner>(recipe);
  return std::make_unique<SoundClassifierLearner>(recipe);
}

}  // namespace tessera

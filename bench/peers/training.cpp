#include <torch/autograd.h>
#include <torch/enum.h>

#include "../bench.h"
#include "core/compat.h"
#include "encoders/classifier.h"
#include "language/language_model.h"
#include "rows.h"
#include "train/optimizer.h"
#include "train/row_loss.h"

namespace tessera::bench {
namespace {

/// A model in training on one batch: autocast, cross entropy, clipped gradients and AdamW, as the trainer's step.
class Training {
 public:
  explicit Training(const nlohmann::json& settings)
      : loaded_(load_side(settings)),
        inputs_(load_inputs(settings)),
        type_(settings.at("precision") == "bfloat16" ? torch::kBFloat16 : torch::kFloat32),
        optimizer_(parameters_of(*loaded_.module), {.learning_rate = 1e-4}) {
    loaded_.module->train();
  }

  void step() {
    gradients();
    clip_gradients(optimizer_.parameters(), 1);
    optimizer_.step(1);
    optimizer_.clear_gradients();
  }

  torch::Tensor gradient_of_positions() {
    gradients();
    torch::Tensor gradient;
    for (const auto& [name, parameter] : optimizer_.parameters())
      if (name.find("positions") != std::string::npos) gradient = parameter.grad().clone();
    optimizer_.clear_gradients();
    return gradient;
  }

 private:
  static NamedTensors parameters_of(const Module& module) {
    NamedTensors parameters;
    for (const auto& item : module.named_parameters()) parameters.emplace_back(item.key(), item.value());
    return parameters;
  }

  void gradients() {
    if (auto* classifier = dynamic_cast<ImageClassifier*>(loaded_.module.get())) {
      torch::autograd::backward({loss_of(*classifier)}, {});
    } else {
      const Autocast autocast(type_);
      read(loaded_.as<LanguageModel>("bench-peers"));
    }
  }

  torch::Tensor loss_of(ImageClassifier& classifier) {
    const Autocast autocast(type_);
    return torch::cross_entropy_loss(classifier.forward(inputs_), torch::arange(inputs_.size(0)));
  }

  /// As TuneLearner does: all tokens are learned, and there are never the logits of all.
  void read(LanguageModel& model) {
    const torch::Tensor hidden = model.hidden({.x = model.embed(inputs_)}, nullptr).x;
    const torch::Tensor labels = inputs_.narrow(1, 1, inputs_.size(1) - 1).flatten();
    backward_by_rows(
        hidden.narrow(1, 0, inputs_.size(1) - 1).flatten(0, 1), labels,
        [&](const torch::Tensor& rows) { return model.logits(rows); }, 1 / static_cast<double>(labels.size(0)));
  }

  Model loaded_;
  torch::Tensor inputs_;
  torch::ScalarType type_;
  AdamW optimizer_;
};

}  // namespace

Rows training_rows(const nlohmann::json& settings) {
  const auto training = std::make_shared<Training>(settings);
  forget_highest_megabytes();
  return {{"step",
           {[training] { return milliseconds([&] { training->step(); }); },
            [training] { return training->gradient_of_positions(); }}},
          {"memory", {highest_megabytes, {}}}};
}

}  // namespace tessera::bench

#include <torch/autograd.h>
#include <torch/enum.h>

#include "../bench.h"
#include "core/compat.h"
#include "encoders/classifier.h"
#include "language/language_model.h"
#include "rows.h"
#include "train/optimizer.h"

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
    torch::Tensor loss;
    {
      const Autocast autocast(type_);
      if (auto* classifier = dynamic_cast<ImageClassifier*>(loaded_.module.get()))
        loss = torch::cross_entropy_loss(classifier->forward(inputs_), torch::arange(inputs_.size(0)));
      else
        loss = next_token_loss(loaded_.as<LanguageModel>("bench-peers").forward({.ids = inputs_}), inputs_);
    }
    torch::autograd::backward({loss}, {});
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

#include "../bench.h"
#include "encoders/classifier.h"
#include "io/checkpoint.h"
#include "language/bert.h"
#include "language/language_model.h"
#include "layers/prepare.h"
#include "rows.h"

namespace tessera::bench {
namespace {

Row row_of(std::function<torch::Tensor()> run) {
  return {[run] { return milliseconds(run); }, run};
}

Rows batches(const std::vector<int64_t>& sizes, const torch::Tensor& input,
             const std::function<torch::Tensor(const torch::Tensor&)>& forward) {
  Rows rows;
  for (const int64_t size : sizes)
    rows["batch-" + std::to_string(size)] = row_of([=] { return forward(input.narrow(0, 0, size)); });
  return rows;
}

/// Some sequences of a language model, which have read `context` tokens and go on for `steps`.
class Decoding {
 public:
  Decoding(const std::shared_ptr<Model>& model, const torch::Tensor& ids, int64_t context, int64_t steps)
      : loaded_(model),
        model_(model->as<LanguageModel>("bench-peers")),
        ids_(ids),
        context_(context),
        steps_(steps),
        state_(model_.start()) {
    model_.hidden({.x = model_.embed(ids_.narrow(1, 0, context_))}, &state_);
  }
  torch::Tensor run() {
    torch::Tensor logits;
    for (int64_t i = 0; i < steps_; ++i)
      logits = model_.logits(model_.hidden({.x = model_.embed(ids_.narrow(1, context_ + i, 1))}, &state_).x);
    return logits.squeeze(1);  // B x vocabulary
  }
  void rewind() { state_.rewind(steps_); }

 private:
  std::shared_ptr<Model> loaded_;
  LanguageModel& model_;
  torch::Tensor ids_;
  int64_t context_, steps_;
  LanguageState state_;
};

Row decoding_row(const std::shared_ptr<Decoding>& decoding) {
  return {[decoding] {
            const double ms = milliseconds([&] { decoding->run(); });
            decoding->rewind();
            return ms;
          },
          [decoding] {
            const torch::Tensor logits = decoding->run();
            decoding->rewind();
            return logits;
          }};
}

Rows language_rows(const std::shared_ptr<Model>& model, const torch::Tensor& ids, const nlohmann::json& lengths) {
  const int64_t context = lengths.at("context"), steps = lengths.at("steps");
  const auto prefill = [model, ids] {
    auto& reader = model->as<LanguageModel>("bench-peers");
    LanguageState state = reader.start();
    const torch::Tensor hidden = reader.hidden({.x = reader.embed(ids.narrow(0, 0, 1))}, &state).x;
    return reader.logits(hidden.narrow(1, -1, 1)).squeeze(1);  // 1 x vocabulary
  };
  return {{"prefill", row_of(prefill)},
          {"decode", decoding_row(std::make_shared<Decoding>(model, ids.narrow(0, 0, 1), context, steps))},
          {"decode-many", decoding_row(std::make_shared<Decoding>(model, ids, context, steps))}};
}

}  // namespace

Model load_side(const nlohmann::json& settings) { return load_model(settings.at("folder").get<std::string>()); }

torch::Tensor load_inputs(const nlohmann::json& settings) {
  const Checkpoint file = Checkpoint::open(settings.at("folder").get<std::string>() + "/inputs.safetensors");
  return file.tensor(file.tensors().begin()->first);
}

Rows inference_rows(const nlohmann::json& settings) {
  const auto model = std::make_shared<Model>(load_side(settings));
  const torch::Tensor inputs = load_inputs(settings);
  const std::string precision = settings.at("precision");
  if (precision != "unprepared") prepare(*model->module, precision_of(precision, "precision"));
  if (dynamic_cast<ImageClassifier*>(model->module.get()))
    return batches(settings.at("batches"), inputs,
                   [model](const torch::Tensor& x) { return model->as<ImageClassifier>("bench-peers").forward(x); });
  if (dynamic_cast<MaskedLanguageModel*>(model->module.get()))
    return batches(settings.at("batches"), inputs, [model](const torch::Tensor& x) {
      return model->as<MaskedLanguageModel>("bench-peers").encoder().forward({.ids = x}).x;
    });
  return language_rows(model, inputs, settings);
}

}  // namespace tessera::bench

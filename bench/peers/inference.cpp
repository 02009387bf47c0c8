#include <cmath>

#include "../bench.h"
#include "core/files.h"
#include "encoders/classifier.h"
#include "io/checkpoint.h"
#include "kernels/attention.h"
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

/// The attention of all blocks of a ViT for one picture, over random numbers of the type that the prepared model has.
Row attention_row(const std::string& folder, bool float32) {
  const Json arguments = read_json(std::filesystem::path(folder) / "config.json").at("model_args");
  const int64_t heads = arguments.at("num_heads"), width = arguments.at("embed_dim").get<int64_t>() / heads;
  const int64_t side = arguments.at("img_size").get<int64_t>() / arguments.at("patch_size").get<int64_t>();
  const auto packed = torch::randn({1, side * side + 1, 3, heads, width}, float32 ? torch::kFloat32 : torch::kBFloat16);
  const torch::Tensor q = packed.select(2, 0).transpose(1, 2), k = packed.select(2, 1).transpose(1, 2),
                      v = packed.select(2, 2).transpose(1, 2);
  const AttentionPattern pattern{.scale = 1 / std::sqrt(static_cast<double>(width))};
  const auto depth = arguments.at("depth").get<int>();
  const auto run = [=] {
    for (int block = 0; block < depth; ++block) fused_attention(q, k, v, pattern);
  };
  return {[run] { return milliseconds(run); }, {}};
}

/// What a model makes of pictures or texts; empty for one that goes on with a text.
std::function<torch::Tensor(const torch::Tensor&)> encoding_of(const std::shared_ptr<Model>& model) {
  if (dynamic_cast<ImageClassifier*>(model->module.get()))
    return [model](const torch::Tensor& x) { return model->as<ImageClassifier>("bench-peers").forward(x); };
  if (dynamic_cast<MaskedLanguageModel*>(model->module.get()))
    return [model](const torch::Tensor& x) {
      return model->as<MaskedLanguageModel>("bench-peers").encoder().forward({.ids = x}).x;
    };
  return {};
}

Rows rows_of(const std::shared_ptr<Model>& model, const nlohmann::json& settings) {
  const torch::Tensor inputs = load_inputs(settings);
  const auto encoding = encoding_of(model);
  if (!encoding) return language_rows(model, inputs, settings);
  Rows rows = batches(settings.at("batches"), inputs, encoding);
  if (dynamic_cast<ImageClassifier*>(model->module.get())) {
    rows["file"] = file_row(model, settings.at("folder"));
    rows["attention"] = attention_row(settings.at("folder"), settings.at("precision") == "float32");
  }
  return rows;
}

}  // namespace

torch::Tensor one_answer(const std::shared_ptr<Model>& model, const nlohmann::json& settings) {
  const torch::Tensor first = load_inputs(settings).narrow(0, 0, 1);
  if (const auto encoding = encoding_of(model)) return encoding(first);
  return Decoding(model, first, settings.at("context"), settings.at("steps")).run();
}

Model load_side(const nlohmann::json& settings) { return load_model(settings.at("folder").get<std::string>()); }

torch::Tensor load_inputs(const nlohmann::json& settings) {
  const Checkpoint file = Checkpoint::open(settings.at("folder").get<std::string>() + "/inputs.safetensors");
  return file.tensor(file.tensors().begin()->first);
}

Loaded inference_rows(const nlohmann::json& settings) {
  const auto model = std::make_shared<Model>(load_side(settings));
  const std::string precision = settings.at("precision");
  Loaded loaded;
  if (precision != "unprepared")
    for (const auto& part : prepare(*model->module, precision_of(precision, "precision")))
      if (part.kind == "Linear") loaded.gigabytes += 1e-9 * static_cast<double>(part.bytes);
  loaded.rows = rows_of(model, settings);
  return loaded;
}

}  // namespace tessera::bench

#include "tasks/inspect.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <string_view>

#include "core/process_memory.h"
#include "io/checkpoint.h"
#include "kernels/flops.h"
#include "language/language_model.h"
#include "layers/prepare.h"
#include "tasks/embed.h"

namespace tessera {
namespace {

constexpr int kPasses = 5;

thread_local int64_t flops = 0;

/// rows x inner times inner x columns; a leading axis is a batch.
int64_t product(const c10::IValue& left, const c10::IValue& right) {
  return 2 * left.toTensor().numel() * right.toTensor().size(-1);
}

/// Of an operation that has begun: what each number of its result takes.
struct EachTakes : at::ObserverContext {
  explicit EachTakes(int64_t count) : flops_of_each(count) {}
  int64_t flops_of_each;
};

/// Counts the operations that other operations come down to; counting "linear" and "matmul" too would count twice.
/// The inputs are there when an operation begins, and no longer when it ends.
std::unique_ptr<at::ObserverContext> count_by_inputs(const at::RecordFunction& operation) {
  const std::string_view name = operation.name();
  const auto inputs = operation.inputs();
  if (name == "aten::mm" || name == "aten::bmm") {
    flops += product(inputs[0], inputs[1]);
  } else if (name == "aten::addmm" || name == "aten::baddbmm") {
    flops += product(inputs[1], inputs[2]);
  } else if (name == "aten::convolution") {
    const Tensor weight = inputs[1].toTensor();
    return std::make_unique<EachTakes>(2 * weight.numel() / weight.size(0));
  }
  return nullptr;
}

void count_by_outputs(const at::RecordFunction& operation, at::ObserverContext* begun) {
  if (begun) flops += static_cast<EachTakes*>(begun)->flops_of_each * operation.outputs()[0].toTensor().numel();
}

/// How far the process grows while `work` runs.
int64_t growth(const std::function<void()>& work) {
  give_back_freed_memory();  // what earlier work has freed would be used again, and not be seen
  const bool anew = forget_peak();
  const int64_t before = resident_bytes();
  work();
  return anew ? std::max<int64_t>(peak_resident_bytes() - before, 0) : 0;
}

/// A picture that every processor takes.
Tensor grey_picture(const ImageProcessor& processor) {
  Image image(256, 256, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{128});
  return processor(image).pixel_values;
}

std::optional<ForwardCost> picture_cost(const Model& model) {
  if (!model.processor) return {};
  try {
    const ImageEmbedder embedder(model);
    const Tensor pixels = grey_picture(*model.processor);
    return measure_forward(pixels, [&] { embedder.embed(pixels); });
  } catch (const Error&) {
    return {};  // it does not see
  }
}

std::optional<ForwardCost> text_cost(const Model& model, int64_t tokens) {
  if (auto* language = dynamic_cast<LanguageModel*>(model.module.get())) {
    if (language->context() > 0) tokens = std::min(tokens, language->context());
    const TextBatch text{torch::ones({1, tokens}, torch::kInt64), {}, {}};
    try {
      return measure_forward(text.ids, [&] { language->forward(text); });
    } catch (const Error&) {
      return {};  // it reads a source first
    }
  }
  auto* pair = dynamic_cast<DualEncoder*>(model.module.get());
  auto* encoder = pair ? &pair->text() : dynamic_cast<TextEncoder*>(model.module.get());
  if (!encoder) return {};
  if (encoder->context() > 0) tokens = std::min(tokens, encoder->context());
  const TextBatch text{torch::ones({1, tokens}, torch::kInt64), {}, {}};
  return measure_forward(text.ids, [&] { pair ? void(pair->encode_text(text)) : void(encoder->forward(text)); });
}

}  // namespace

namespace {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

ForwardCost measure_forward(const Tensor& input, const std::function<void()>& pass) {
  const torch::NoGradGuard no_gradient;
  ForwardCost cost;
  cost.input = input.sizes().vec();
  cost.peak_bytes = growth(pass);
  cost.flops = count_flops(pass);
  std::vector<double> seconds, processor;
  for (int i = 0; i < kPasses; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const std::clock_t worked = std::clock();
    pass();
    processor.push_back(static_cast<double>(std::clock() - worked) / CLOCKS_PER_SEC);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  cost.seconds = median(seconds), cost.processor_seconds = median(processor);
  return cost;
}

Json to_json(const ForwardCost& cost) {
  return {{"input", cost.input},
          {"flops", cost.flops},
          {"seconds", cost.seconds},
          {"processor_seconds", cost.processor_seconds},
          {"peak_bytes", cost.peak_bytes}};
}

int64_t count_flops(const std::function<void()>& work) {
  const auto handle = at::addThreadLocalCallback(at::RecordFunctionCallback(count_by_inputs, count_by_outputs)
                                                     .needsInputs(true)
                                                     .needsOutputs(true)
                                                     .scopes({at::RecordScope::FUNCTION}));
  flops = 0;
  const int64_t before = kernel_flops();
  try {
    work();
  } catch (...) {
    at::removeCallback(handle);
    throw;
  }
  at::removeCallback(handle);
  return flops + kernel_flops() - before;
}

Inspection inspect(const Model& model, int64_t text_tokens) {
  Inspection found;
  found.family = model.family, found.folder = model.folder.string();
  for (const auto& item : model.module->named_parameters()) {
    found.parameters += item.value().numel();
    found.parts[item.key().substr(0, item.key().find('.'))] += item.value().numel();
  }
  for (const auto& item : model.module->named_buffers()) {
    found.buffers += item.value().numel();
    found.parts[item.key().substr(0, item.key().find('.'))] += item.value().numel();
  }
  const Checkpoint checkpoint = Checkpoint::open(model.folder);
  for (const auto& [name, info] : checkpoint.tensors()) {
    StoredType& type = found.types[info.dtype_name];
    ++type.tensors;
    type.bytes += static_cast<int64_t>(info.bytes);
  }
  if (is_prepared_folder(model.folder)) found.prepared = prepared_precision(checkpoint);
  if (model.tokenizer) found.vocabulary = model.tokenizer->vocab_size();
  found.picture = picture_cost(model);
  found.text = text_cost(model, text_tokens);
  return found;
}

}  // namespace tessera

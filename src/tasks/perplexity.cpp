#include "tasks/perplexity.h"

#include <algorithm>
#include <cmath>

#include "core/progress.h"
#include "language/encoder_decoder.h"
#include "layers/device.h"
#include "tasks/embed.h"

namespace tessera {
namespace {

constexpr int64_t kLongestWindow = 2048;

/// The sum of -log p of the last `count` of these tokens.
double nll_of_last(LanguageModel& model, const Tensor& ids, int64_t count) {
  Tokens tokens;
  tokens.ids = ids.unsqueeze(0);
  tokens.x = model.embed(tokens.ids);
  const int64_t length = ids.size(0);
  const Tensor before = model.hidden(tokens, nullptr).x.narrow(1, length - count - 1, count);
  const Tensor logits = model.logits(before)[0];  // count x vocabulary
  const Tensor nll = torch::cross_entropy_loss(logits.to(torch::kFloat32), ids.narrow(0, length - count, count), {},
                                               at::Reduction::None);
  return nll.to(torch::kFloat64).sum().item<double>();
}

}  // namespace

Perplexity perplexity(const Model& model, const std::string& text, const PerplexityOptions& options) {
  const torch::NoGradGuard no_gradient;
  auto& language = model.as<LanguageModel>("predict text");
  if (dynamic_cast<EncoderDecoder*>(&language))
    throw Error("a model that reads a source first has no perplexity of a text alone", model.folder.string());
  const int64_t context = language.context() > 0 ? language.context() : kLongestWindow;
  const int64_t window = options.window > 0 ? options.window : std::min(context, kLongestWindow);
  if (language.context() > 0 && window > language.context())
    throw Error(std::to_string(window) + " tokens do not fit into the context of " + std::to_string(language.context()),
                "window");
  const int64_t stride = options.stride > 0 ? options.stride : std::max<int64_t>(1, window / 2);
  if (window < 2) throw Error("holds no token and the one before it", "window", "give at least 2");
  if (stride >= window) throw Error("has to be below the window of " + std::to_string(window), "stride");
  const std::vector<int64_t> encoded = tokenizer_of(model).encode(text).ids;
  const auto length = static_cast<int64_t>(encoded.size());
  if (length < 2) throw Error("has less than two tokens", "text", "give a longer text");
  const Tensor ids = torch::tensor(encoded, torch::kInt64).to(device_of(language));
  Perplexity result{.tokens = length, .predicted = length - 1};
  Progress progress("perplexity", length, "tokens");
  double sum = 0;
  for (int64_t begin = 0, done = 1; done < length; begin += stride) {
    const int64_t end = std::min(begin + window, length);
    sum += nll_of_last(language, ids.narrow(0, begin, end - begin), end - done);
    done = end;
    progress.set(done);
  }
  progress.finish();
  if (!std::isfinite(sum)) throw Error("the likelihood is not finite", model.folder.string(), "look for NaN in it");
  result.mean_nll = sum / static_cast<double>(result.predicted);
  result.perplexity = std::exp(result.mean_nll);
  result.bits_per_byte = sum / std::log(2.0) / static_cast<double>(text.size());
  return result;
}

}  // namespace tessera

#include "llama.h"

#include "core/error.h"
#include "language/decoder.h"
#include "layers/unfilled.h"

namespace tessera::bench {

std::shared_ptr<LanguageModel> random_llama(const LlamaSizes& sizes, bool tied) {
  const UnfilledWeights unfilled;
  DecoderOptions options;
  options.vocabulary = sizes.vocabulary, options.dim = sizes.dim, options.depth = sizes.depth;
  options.heads = sizes.heads, options.kv_heads = sizes.kv_heads, options.ffn = sizes.ffn, options.context = 2048;
  options.positions = "rotary", options.norm = "rms", options.activation = "silu", options.gated = true;
  options.qkv_bias = options.proj_bias = options.ffn_bias = false, options.tied = tied;
  auto model = std::make_shared<Decoder>(options);
  // Uniform numbers of a usual size: the time does not depend on them, and normal ones take long to draw.
  for (auto& item : model->named_parameters())
    item.key().find("norm") == std::string::npos ? item.value().uniform_(-0.03, 0.03) : item.value().fill_(1);
  model->eval();
  return model;
}

torch::Tensor last_logits(LanguageModel& model, const Tokens& tokens, LanguageState& state) {
  const torch::Tensor hidden = model.hidden(tokens, &state).x;
  return model.logits(hidden.narrow(1, hidden.size(1) - 1, 1)).squeeze(1);
}

void check_equal(const torch::Tensor& ours, const torch::Tensor& peer, const std::string& name) {
  const double error = (ours - peer).abs().max().item<double>(), size = peer.abs().max().item<double>();
  if (!(error < 1e-3 * size)) throw Error("differs by " + std::to_string(error) + " from the plain modules", name);
}

}  // namespace tessera::bench

#include "bench.h"
#include "core/error.h"
#include "language/decoder.h"
#include "layers/unfilled.h"
#include "plain_llama.h"

namespace tessera::bench {
namespace {

constexpr int64_t kPrompt = 128, kSteps = 8;

std::shared_ptr<LanguageModel> model_of(const LlamaSizes& sizes, bool tied) {
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

torch::Tensor last_logits(LanguageModel& model, const torch::Tensor& ids, LanguageState& state) {
  const torch::Tensor hidden = model.hidden({.x = model.embed(ids)}, &state).x;
  return model.logits(hidden.narrow(1, hidden.size(1) - 1, 1)).squeeze(1);
}

/// What is timed must be the same computation.
void check_equal(const torch::Tensor& ours, const torch::Tensor& peer, const std::string& name) {
  const double error = (ours - peer).abs().max().item<double>(), size = peer.abs().max().item<double>();
  if (!(error < 1e-3 * size)) throw Error("differs by " + std::to_string(error) + " from the plain modules", name);
}

std::vector<Comparison> compare(const std::string& name, const LlamaSizes& sizes, bool tied, int runs) {
  const auto model = model_of(sizes, tied);
  PlainLlama plain(sizes, *model);
  const torch::Tensor prompt = torch::randint(sizes.vocabulary, {1, kPrompt}, torch::kInt64);
  const torch::Tensor token = prompt.narrow(1, 0, 1);
  LanguageState state;
  torch::Tensor ours, peer;
  const auto read = [&] { state = model->start(), ours = last_logits(*model, prompt, state); };
  const auto read_plain = [&] { plain.reset(), peer = plain.forward(prompt); };
  const auto write = [&] {
    for (int64_t i = 0; i < kSteps; ++i) ours = last_logits(*model, token, state);
  };
  const auto write_plain = [&] {
    for (int64_t i = 0; i < kSteps; ++i) peer = plain.forward(token);
  };
  const Pair reading = interleave(runs, read, read_plain);
  check_equal(ours, peer, name);
  const Pair writing = interleave(runs, write, write_plain);
  check_equal(ours, peer, name);
  const auto rate = [](int64_t tokens, double ms) { return static_cast<double>(tokens) * 1000 / ms; };
  return {{name + ", prefill of 128", "Tessera", "LibTorch modules", rate(kPrompt, reading.ours),
           rate(kPrompt, reading.peer), "tokens/s", reading.ratio},
          {name + ", decode", "Tessera", "LibTorch modules", rate(kSteps, writing.ours), rate(kSteps, writing.peer),
           "tokens/s", writing.ratio}};
}

}  // namespace

std::vector<Comparison> generation(int runs) {
  const torch::InferenceMode inference;
  torch::manual_seed(0);
  // The sizes of TinyLlama, and those of the decoder that ships.
  auto lines = compare("LLaMA 1.1 B float32", {32000, 2048, 22, 32, 4, 5632}, false, std::min(runs, 3));
  const auto small = compare("default decoder", {12000, 256, 4, 4, 4, 640}, true, runs);
  lines.insert(lines.end(), small.begin(), small.end());
  return lines;
}

}  // namespace tessera::bench

#include "bench.h"
#include "llama.h"

namespace tessera::bench {
namespace {

constexpr int64_t kPrompt = 128, kSteps = 8;

std::vector<Comparison> compare(const std::string& name, const LlamaSizes& sizes, bool tied, int runs) {
  const auto model = random_llama(sizes, tied);
  PlainLlama plain(sizes, *model);
  const torch::Tensor prompt = torch::randint(sizes.vocabulary, {1, kPrompt}, torch::kInt64);
  const torch::Tensor token = prompt.narrow(1, 0, 1);
  LanguageState state;
  torch::Tensor ours, peer;
  const auto read = [&] { state = model->start(), ours = last_logits(*model, {.x = model->embed(prompt)}, state); };
  const auto read_plain = [&] { plain.reset(), peer = plain.forward(prompt); };
  const auto write = [&] {
    for (int64_t i = 0; i < kSteps; ++i) ours = last_logits(*model, {.x = model->embed(token)}, state);
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
  // The latter has the sizes of the decoder of recipes/talk.json.
  auto lines = compare("LLaMA 1.1 B float32", kTinyLlama, false, std::min(runs, 3));
  const auto small = compare("decoder of recipes/talk.json", {12000, 256, 4, 4, 4, 640}, true, runs);
  lines.insert(lines.end(), small.begin(), small.end());
  return lines;
}

}  // namespace tessera::bench

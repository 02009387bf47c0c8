#include "vlm/vision_language.h"

#include "bench.h"
#include "encoders/vit.h"
#include "llama.h"
#include "plain_vit.h"

namespace tessera::bench {
namespace {

constexpr int64_t kWords = 32, kSteps = 8;

/// ViT-B/16, two linear layers and TinyLlama: the shape of LLaVA at a size that any machine holds.
std::shared_ptr<VisionLanguage> random_llava() {
  const auto vit = std::make_shared<Vit>(VitOptions{});
  for (auto& item : vit->named_parameters())
    if (item.key().ends_with("positions")) item.value().normal_(0, 0.02);
  const Json bridge = {{"kind", "mlp"}, {"dim", 768}, {"hidden", kTinyLlama.dim}, {"width", kTinyLlama.dim}};
  const VisionLanguageParts parts{vit, bridges().make(bridge, "bridge"), random_llama(kTinyLlama, false)};
  auto model = std::make_shared<VisionLanguage>(parts, VisionLanguageOptions{.placeholder_id = kTinyLlama.vocabulary});
  model->eval();
  return model;
}

/// The same computation as one writes it with LibTorch's modules.
class PlainLlava {
 public:
  explicit PlainLlava(VisionLanguage& model) : language_(kTinyLlama, model.language()) {
    tower_.copy_from(model.encoder());
    tower_.eval();
    const auto weights = model.bridge().named_parameters();
    for (const char* layer : {"mlp.up", "mlp.down"})
      for (const char* part : {".weight", ".bias"}) bridge_.push_back(weights[std::string(layer) + part]);
  }
  torch::Tensor read(const torch::Tensor& pixels, const torch::Tensor& words) {
    language_.reset();
    const torch::Tensor seen = tower_.forward(pixels).narrow(1, 1, 196);
    const torch::Tensor hidden = torch::gelu(torch::linear(seen, bridge_[0], bridge_[1]));
    const torch::Tensor picture = torch::linear(hidden, bridge_[2], bridge_[3]);
    return language_.read(torch::cat({picture, language_.embed(words)}, 1));
  }
  torch::Tensor write(const torch::Tensor& token) { return language_.forward(token); }

 private:
  PlainVit tower_{true};
  std::vector<torch::Tensor> bridge_;
  PlainLlama language_;
};

}  // namespace

std::vector<Comparison> vision_language(int runs) {
  const torch::InferenceMode inference;
  torch::manual_seed(0);
  const auto model = random_llava();
  PlainLlava plain(*model);
  const torch::Tensor pixels = torch::randn({1, 3, 224, 224});
  const torch::Tensor words = torch::randint(kTinyLlama.vocabulary, {1, kWords}, torch::kInt64);
  MultimodalBatch asked;
  asked.pictures.pixel_values = pixels;
  asked.text.ids = torch::cat({torch::full({1, 196}, kTinyLlama.vocabulary, torch::kInt64), words}, 1);
  MultimodalPrompt prompt;
  torch::Tensor ours, peer;
  const auto read = [&] {
    prompt = model->begin(asked);
    ours = last_logits(*model, prompt.tokens, prompt.state);
  };
  const auto read_plain = [&] { peer = plain.read(pixels, words); };
  const Pair first = interleave(std::min(runs, 3), read, read_plain);
  check_equal(ours, peer, "LLaVA 1.2 B");
  const auto answer = [&] {
    read();
    for (int64_t i = 0; i < kSteps; ++i)
      ours = last_logits(*model, {.x = model->embed(ours.argmax(1, true))}, prompt.state);
  };
  const auto answer_plain = [&] {
    read_plain();
    for (int64_t i = 0; i < kSteps; ++i) peer = plain.write(peer.argmax(1, true));
  };
  const double held = peak_megabytes(answer), held_plain = peak_megabytes(answer_plain);
  check_equal(ours, peer, "LLaVA 1.2 B");
  return {{"LLaVA 1.2 B float32, picture and 32 words to the first token", "Tessera", "LibTorch modules", first.ours,
           first.peer, "ms", first.ratio},
          {"peak memory beyond its weights, with 8 more tokens", "Tessera", "LibTorch modules", held, held_plain, "MB",
           held_plain / held}};
}

}  // namespace tessera::bench

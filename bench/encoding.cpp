#include "bench.h"
#include "core/error.h"
#include "encoders/vit.h"
#include "plain_vit.h"

namespace tessera::bench {
namespace {

/// What is timed must be the same computation.
void check_equal(const torch::Tensor& ours, const torch::Tensor& peer) {
  const double error = (ours - peer).abs().max().item<double>();
  if (!(error < 1e-4)) throw Error("differs by " + std::to_string(error) + " from the plain modules", "vit");
}

}  // namespace

std::vector<Comparison> encoding(int runs) {
  const torch::InferenceMode inference;
  torch::manual_seed(0);
  Vit vit{VitOptions{}};
  vit.eval();
  for (auto& item : vit.named_parameters())
    if (item.key().ends_with("bias") || item.key().find("positions") != std::string::npos)
      item.value().normal_(0, 0.02);
  PlainVit fused(true), separate(false);
  for (PlainVit* plain : {&fused, &separate}) plain->copy_from(vit), plain->eval();
  std::vector<Comparison> lines;
  for (const int64_t batch : {1, 8}) {
    const torch::Tensor pixels = torch::randn({batch, 3, 224, 224});
    for (PlainVit* plain : {&fused, &separate}) {
      check_equal(vit.forward(pixels).x, plain->forward(pixels));
      const Pair times = interleave(
          runs, [&] { vit.forward(pixels); }, [&] { plain->forward(pixels); });
      lines.push_back({"ViT-B/16 float32, batch " + std::to_string(batch), "Tessera",
                       plain == &fused ? "LibTorch modules, fused q, k, v" : "LibTorch modules, three projections",
                       times.ours, times.peer, "ms", times.ratio});
    }
  }
  return lines;
}

}  // namespace tessera::bench

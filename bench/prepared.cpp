#include "bench.h"
#include "core/error.h"
#include "encoders/vit.h"
#include "kernels/sparse_pattern.h"
#include "layers/prepare.h"
#include "layers/prune.h"
#include "llama.h"
#include "machine.h"
#include "tasks/inspect.h"

namespace tessera::bench {
namespace {

void check_direction(const torch::Tensor& ours, const torch::Tensor& plain, const std::string& name) {
  const double cosine = torch::cosine_similarity(ours.flatten(), plain.flatten(), 0).item<double>();
  if (!(cosine > 0.98)) throw Error("has a cosine of " + std::to_string(cosine) + " with the plain model", name);
}

std::vector<Comparison> pictures(const std::string& name, int runs) {
  const Precision precision = precision_of(name, "bench");
  torch::manual_seed(0);
  Vit vit{VitOptions{}};
  vit.eval();
  const torch::Tensor one = torch::randn({1, 3, 224, 224});
  torch::Tensor plain;
  const auto flops = static_cast<double>(count_flops([&] { plain = vit.forward(one).x; }));
  prepare(vit, precision);
  check_direction(vit.forward(one).x, plain, "ViT-B/16 " + name);
  const ProductRate limit(precision);
  std::vector<Comparison> lines;
  for (const int64_t batch : {1, 8}) {
    const torch::Tensor pixels = torch::randn({batch, 3, 224, 224});
    const Pair times = interleave(
        runs, [&] { vit.forward(pixels); }, [&] { limit.run(); });
    const double rate = 1e-6 * flops * static_cast<double>(batch) / times.ours, most = ProductRate::of(times.peer);
    lines.push_back({"ViT-B/16 " + name + ", batch " + std::to_string(batch), "prepared", "one large product", rate,
                     most, "GFLOP/s", rate / most});
  }
  return lines;
}

/// A prepared model of random weights that writes some tokens a run.
class Writer {
 public:
  static constexpr int kSteps = 4;
  /// @param pattern  of the weights of a linear layer, the largest are left
  explicit Writer(const std::string& precision, const SparsePattern& pattern = {})
      : model_(random_llama(kTinyLlama, false)) {
    if (pattern != SparsePattern()) prune_by_magnitude(*model_, pattern.kept, pattern.of);
    for (const auto& part : prepare(*model_, precision_of(precision, "bench")))
      if (part.kind == "Linear") bytes_ += part.bytes;
    state_ = model_->start();
  }
  void run() {
    for (int i = 0; i < kSteps; ++i) last_logits(*model_, {.x = model_->embed(token_)}, state_);
  }
  int64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<LanguageModel> model_;
  int64_t bytes_ = 0;
  LanguageState state_;
  torch::Tensor token_ = torch::randint(1000, {1, 1}, torch::kInt64);
};

Comparison decoding(const std::string& name, int runs) {
  Writer writer(name);
  ReadRate limit;
  const Pair times = interleave(
      runs, [&] { writer.run(); }, [&] { limit.run(); });
  const double rate = 1e-6 * static_cast<double>(writer.bytes()) * Writer::kSteps / times.ours;
  const double most = ReadRate::of(times.peer);
  return {"LLaMA 1.1 B " + name + ", decode", "prepared", "reading memory", rate, most, "GB/s", rate / most};
}

Comparison sparse_decoding(const std::string& name, const SparsePattern& pattern, int runs) {
  Writer sparse(name, pattern), dense(name);
  const Pair times = interleave(
      runs, [&] { sparse.run(); }, [&] { dense.run(); });
  const auto rate = [](double ms) { return 1e3 * Writer::kSteps / ms; };
  return {"LLaMA 1.1 B " + name + ", decode",
          std::to_string(pattern.kept) + " of every " + std::to_string(pattern.of) + " weights",
          "all weights",
          rate(times.ours),
          rate(times.peer),
          "tokens/s",
          times.ratio};
}

}  // namespace

std::vector<Comparison> prepared(int runs) {
  const torch::NoGradGuard no_gradient;
  std::vector<Comparison> lines;
  for (const char* name : {"float32", "bfloat16", "int8"}) {
    const auto more = pictures(name, runs);
    lines.insert(lines.end(), more.begin(), more.end());
  }
  for (const char* name : {"bfloat16", "int8", "int4"}) lines.push_back(decoding(name, std::min(runs, 5)));
  for (const SparsePattern& pattern : {SparsePattern{2, 4}, SparsePattern{1, 8}})
    for (const char* name : {"bfloat16", "int8"}) lines.push_back(sparse_decoding(name, pattern, std::min(runs, 5)));
  return lines;
}

}  // namespace tessera::bench

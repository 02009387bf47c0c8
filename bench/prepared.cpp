#include <thread>

#include "bench.h"
#include "core/error.h"
#include "encoders/vit.h"
#include "kernels/packed_linear.h"
#include "layers/prepare.h"
#include "llama.h"
#include "tasks/inspect.h"

namespace tessera::bench {
namespace {

/// Floating-point operations a second of a large product, in thousands of millions: what the machine can do.
class ProductRate {
 public:
  explicit ProductRate(Precision precision)
      : x_(torch::randn({kSize, kSize})), layer_(torch::randn({kSize, kSize}), {}, precision) {
    if (precision != Precision::kFloat32) x_ = x_.to(torch::kBFloat16);
    finish_.type = x_.scalar_type();
  }
  void run() const { layer_.forward(x_, finish_); }
  static double of(double ms) { return 2e-6 * static_cast<double>(kSize * kSize * kSize) / ms; }

 private:
  static constexpr int64_t kSize = 2048;
  torch::Tensor x_;
  PackedLinear layer_;
  LinearFinish finish_;
};

/// A memory that is read from end to end by all threads.
class ReadRate {
 public:
  ReadRate() : numbers_(kBytes / sizeof(uint64_t), 1) {}
  void run() {
    std::vector<std::thread> threads;
    const size_t parts = static_cast<size_t>(torch::get_num_threads()), each = numbers_.size() / parts;
    for (size_t part = 0; part < parts; ++part)
      threads.emplace_back([this, part, each] {
        uint64_t sums[8] = {};
        for (size_t i = part * each; i + 8 <= (part + 1) * each; i += 8)
          for (size_t lane = 0; lane < 8; ++lane) sums[lane] ^= numbers_[i + lane];
        for (const uint64_t sum : sums) found_ = found_ ^ sum;
      });
    for (auto& thread : threads) thread.join();
  }
  static double of(double ms) { return 1e-6 * static_cast<double>(kBytes) / ms; }

 private:
  static constexpr size_t kBytes = size_t{1} << 30;
  std::vector<uint64_t> numbers_;
  volatile uint64_t found_ = 0;
};

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

Comparison decoding(const std::string& name, int runs) {
  constexpr int kSteps = 4;
  const auto model = random_llama(kTinyLlama, false);
  int64_t bytes = 0;
  for (const auto& part : prepare(*model, precision_of(name, "bench")))
    if (part.kind == "Linear") bytes += part.bytes;
  LanguageState state = model->start();
  const torch::Tensor token = torch::randint(1000, {1, 1}, torch::kInt64);
  const auto write = [&] {
    for (int i = 0; i < kSteps; ++i) last_logits(*model, {.x = model->embed(token)}, state);
  };
  ReadRate limit;
  const Pair times = interleave(runs, write, [&] { limit.run(); });
  const double rate = 1e-6 * static_cast<double>(bytes) * kSteps / times.ours, most = ReadRate::of(times.peer);
  return {"LLaMA 1.1 B " + name + ", decode", "prepared", "reading memory", rate, most, "GB/s", rate / most};
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
  return lines;
}

}  // namespace tessera::bench

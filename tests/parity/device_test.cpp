// On another device than the CPU every model computes what it computes there, and makes no tensor in the wrong place.
#include <gtest/gtest.h>

#include "core/error.h"
#include "decode/generate.h"
#include "encoders/classifier.h"
#include "fusion/dual_encoder.h"
#include "layers/linear.h"
#include "layers/prepare.h"
#include "parity/compare.h"
#include "support/foreign_device.h"

namespace tessera::parity {
namespace {

/// What failed, a line a case.
std::string failures(const GoldenResult& result) {
  std::string lines = result.status == "failed" ? "" : result.message;
  for (const CaseResult& item : result.cases) {
    if (item.status != "failed") continue;
    lines += item.name + ": " + item.message.substr(0, item.message.find('\n')) + "\n";
    for (const Comparison& c : item.comparisons)
      if (c.failed()) lines += "  " + c.name + " " + c.verdict + " " + c.reason + "\n";
  }
  return lines;
}

class OnAnotherDevice : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(OnAnotherDevice, EqualsTheRecord) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP()
      << "LibTorch makes gradients of a device on a thread of its own, under locks that the sanitizer does not see";
#endif
  const GoldenResult result = run_golden(GetParam(), {}, testing::foreign_device());
  EXPECT_NE(result.status, "failed") << failures(result);
}

TEST_P(OnAnotherDevice, PreparedInBfloat16IsNearTheRecord) {
  const GoldenResult result = run_golden(GetParam(), Precision::kBfloat16, testing::foreign_device());
  EXPECT_NE(result.status, "failed") << failures(result);
}

TEST_P(OnAnotherDevice, PreparedInInt8IsNearTheRecord) {
  const GoldenResult result = run_golden(GetParam(), Precision::kInt8, testing::foreign_device());
  EXPECT_NE(result.status, "failed") << failures(result);
}

/// "blip2_blip2_t5"
std::string test_name(const ::testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.parent_path().filename().string() + "_" + info.param.filename().string();
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

/// The recorded runs of models; those of texts and pictures alone have no device.
std::vector<std::filesystem::path> model_goldens() {
  std::vector<std::filesystem::path> folders;
  for (const auto& folder : find_goldens({std::string(TESSERA_SOURCE_DIR) + "/tests/goldens"}))
    if (read_golden(folder).tensors) folders.push_back(folder);
  return folders;
}

TEST(PreparedOnAnotherDevice, LinearLayersKeepTheirWeightsNarrow) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = torch::randn({2, 5, 32});
  const std::pair<Precision, torch::ScalarType> cases[] = {{Precision::kBfloat16, torch::kBFloat16},
                                                           {Precision::kInt8, torch::kInt8},
                                                           {Precision::kInt8Weights, torch::kInt8}};
  for (const auto& [precision, type] : cases) {
    ModuleList<Linear> layers;
    Linear& layer = *layers.append(32, 16);
    const Tensor want = layer.forward(x);
    layers.to(testing::foreign_device());
    const auto parts = prepare(layers, precision);
    ASSERT_EQ(parts.size(), 1U);
    EXPECT_EQ(parts[0].left, "");
    EXPECT_EQ(layer.weight.scalar_type(), type);
    EXPECT_EQ(layer.weight.device(), testing::foreign_device());
    const Tensor y = layer.forward(x.to(testing::foreign_device()));
    EXPECT_EQ(y.scalar_type(), torch::kFloat32);
    EXPECT_LT((y.cpu() - want).norm().item<double>(), 0.02 * want.norm().item<double>());
    EXPECT_EQ(layer.forward(x.to(testing::foreign_device()), {.narrow = true}).scalar_type(), torch::kBFloat16);
  }
}

TEST(PreparedOnAnotherDevice, Int4IsForTheCpu) {
  ModuleList<Linear> layers;
  layers.append(32, 16);
  layers.to(testing::foreign_device());
  EXPECT_THROW(prepare(layers, Precision::kInt4), Error);
}

/// Nobody who calls a model moves what it reads.
TEST(InputsOnTheCpu, AreMovedToTheModel) {
  const torch::NoGradGuard no_gradient;
  const auto run = [](const std::string& name, const std::function<Tensor(Module&)>& call) {
    const System system = assemble_golden(read_golden(std::string(TESSERA_SOURCE_DIR) + "/tests/goldens/" + name));
    system.module->eval();
    const Tensor want = call(*system.module);
    system.module->to(testing::foreign_device());
    const Tensor got = call(*system.module);
    ASSERT_EQ(got.sizes(), want.sizes()) << name;
    EXPECT_LT((got.cpu() - want).abs().max().item<double>(), 1e-3) << name;
  };
  const TextBatch text{
      torch::tensor({{5, 6, 7}, {8, 9, 2}}), torch::tensor({{1, 1, 1}, {1, 1, 0}}).to(torch::kBool), {}};
  run("llama/llama-gqa", [&](Module& model) { return dynamic_cast<LanguageModel&>(model).forward(text); });
  run("llama/llama-gqa", [&](Module& model) {
    return generate(dynamic_cast<LanguageModel&>(model), text, {.max_new_tokens = 4, .top_k = 3, .penalty_alpha = 0.5})
        .to(torch::kFloat32);
  });
  run("gpt2/gpt2-scaled", [&](Module& model) {
    return generate(dynamic_cast<LanguageModel&>(model), text, {.max_new_tokens = 4, .num_beams = 3})
        .to(torch::kFloat32);
  });
  const auto pixels = [](int64_t channels, int64_t side) {
    return torch::linspace(-1, 1, channels * side * side).view({1, channels, side, side});
  };
  run("vit/hf-deit-distilled",
      [&](Module& model) { return dynamic_cast<ImageClassifier&>(model).forward(pixels(3, 30)); });
  run("clip/hf_legacy_gelu", [&](Module& model) {
    auto& dual = dynamic_cast<DualEncoder&>(model);
    return dual.logits(dual.encode_image(pixels(1, 22)).cpu(), dual.encode_text(text).cpu());
  });
}

INSTANTIATE_TEST_SUITE_P(Goldens, OnAnotherDevice, ::testing::ValuesIn(model_goldens()), test_name);

}  // namespace
}  // namespace tessera::parity

#include "fusion/dual_encoder.h"

#include <gmock/gmock.h>

#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::randomise;

const Json kVit = {{"kind", "vit"}, {"image", {16, 16}}, {"patch", {8, 8}}, {"dim", 16},
                   {"depth", 1},    {"heads", 2},        {"ffn", 24}};
const Json kHybrid = {{"kind", "hybrid-vit"}, {"image", {16, 16}}, {"stem", 4},
                      {"widths", {8, 12}},    {"blocks", {0, 1}},  {"depth", 0}};
const Json kText = {{"kind", "text-transformer"},
                    {"vocabulary", 30},
                    {"context", 8},
                    {"dim", 16},
                    {"depth", 1},
                    {"heads", 2},
                    {"ffn", 24}};
const Json kBert = {{"kind", "bert"}, {"vocabulary", 30}, {"positions", 8}, {"dim", 12},
                    {"depth", 1},     {"heads", 2},       {"ffn", 24}};

Json options(const Json& image, const Json& text) {
  return {{"image", image},      {"text", text},    {"dim", 10}, {"image_pool", {{"kind", "mean"}}},
          {"text_pool", "mean"}, {"logit_bias", -1}};
}

Tensor pixels() {
  at::manual_seed(31);
  return torch::randn({3, 3, 16, 16});
}
TextBatch text() {
  at::manual_seed(32);
  return {torch::randint(0, 30, {2, 6}, torch::kInt64), {}, {}};
}

TEST(DualEncoder, AnyEncoderGoesWithAnyTextEncoder) {
  for (const Json& image : {kVit, kHybrid})
    for (const Json& words : {kText, kBert}) {
      const auto model = make_dual_encoder(options(image, words), "dual_encoder");
      randomise(*model, 0.2);
      model->train();
      const Tensor logits = model->logits(model->encode_image(pixels()), model->encode_text(text()));
      EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{3, 2}));
      testing::expect_gradients(*model, logits);
    }
}

TEST(DualEncoder, EveryBackboneCanBeATowerThatLearns) {
  const std::vector<Json> towers = {
      Json::parse(
          R"({"kind": "swin", "patch": 2, "dim": 8, "depths": [2, 1], "heads": [2, 2], "windows": [4, 4],
          "drop_path": 0.1})"),
      Json::parse(R"({"kind": "tnt", "image": [16, 16], "patch": 8, "depth": 2, "dim": 16, "heads": 2, "inner_dim": 4,
          "inner_heads": 2, "drop_path": 0.1})"),
      Json::parse(R"({"kind": "pyramid-tnt", "image": [16, 16], "depths": [1, 1], "dims": [8, 8], "heads": [2, 2],
          "inner_dims": [4, 4], "inner_heads": [1, 2], "ratios": [2, 1]})"),
      Json::parse(
          R"({"kind": "t2t-vit", "image": [16, 16], "token_dim": 4, "dim": 16, "depth": 1, "heads": 2, "ffn": 16})"),
      Json::parse(
          R"({"kind": "hornet", "dim": 8, "depths": [1, 1], "orders": [2, 3], "scales": [1, 1], "filter_heights":
          [0, 2],
          "filter_widths": [0, 2]})"),
      Json::parse(
          R"({"kind": "vitamin", "image": [16, 16], "stem": 4, "widths": [4, 8], "depths": [1, 1], "dim": 16,
          "depth": 1, "heads": 2, "ffn": 16})"),
      Json::parse(
          R"({"kind": "rmt", "dims": [8, 8], "depths": [1, 1], "heads": [2, 2], "first_decays": [2, 2], "decay_ranges":
          [4, 4], "ffn_ratios": [2, 2], "decomposed": [true, false], "layer_scales": [false, true],
          "projection": 12})"),
      Json::parse(R"({"kind": "vir", "image": [16, 16], "patch": 8, "dim": 16, "depth": 1, "heads": 2, "ffn": 16})"),
  };
  for (const Json& tower : towers) {
    SCOPED_TRACE(tower.dump());
    const auto model = make_dual_encoder(options(tower, kText), "dual_encoder");
    model->train();
    model->logits(model->encode_image(pixels()), model->encode_text(text())).square().sum().backward();
    for (const auto& item : model->named_parameters()) {
      if (!item.value().requires_grad()) continue;
      ASSERT_TRUE(item.value().grad().defined()) << item.key();
      EXPECT_TRUE(torch::isfinite(item.value().grad()).all().item<bool>()) << item.key();
    }
  }
}

TEST(DualEncoder, LogitsAreScaledCosines) {
  const torch::NoGradGuard no_grad;
  const auto model = make_dual_encoder(options(kVit, kText), "dual_encoder");
  model->logit_scale.fill_(std::log(4.0));
  const Tensor a = torch::randn({3, 10}), b = torch::randn({2, 10});
  const Tensor logits = model->logits(a, b);
  EXPECT_LT(distance(logits, model->logits(a * 7, b * 0.1)), 1e-5) << "lengths do not matter";
  EXPECT_LE(logits.max().item<float>(), 4 - 1 + 1e-4);
  EXPECT_GE(logits.min().item<float>(), -4 - 1 - 1e-4);
  EXPECT_NEAR(model->logits(a, a)[1][1].item<float>(), 3, 1e-4) << "a vector with itself: scale plus bias";
}

TEST(DualEncoder, ASideWithoutProjectionMustHaveTheSharedWidth) {
  Json o = options(kVit, kText);
  o["image_projection"] = "none";
  EXPECT_THAT(error_of([&] { make_dual_encoder(o, "dual_encoder"); }),
              ::testing::HasSubstr("image_projection: width 16 is not the shared 10"));
  o["dim"] = 16;
  EXPECT_EQ(make_dual_encoder(o, "dual_encoder")->encode_image(pixels()).size(1), 16);
}

TEST(DualEncoder, MistakesInTheOptionsNameTheirPlace) {
  Json o = options(kVit, kText);
  o["image"]["kind"] = "vitt";
  EXPECT_THAT(error_of([&] { make_dual_encoder(o, "dual_encoder"); }),
              ::testing::HasSubstr("unknown value 'vitt'; did you mean 'vit'?"));
  o = options(kVit, kText), o["text"]["head"] = 3;
  EXPECT_THAT(error_of([&] { make_dual_encoder(o, "dual_encoder"); }),
              ::testing::HasSubstr("unknown key 'head'; did you mean 'heads'?"));
  o = options(kVit, kText), o["text_projection"] = "afine";
  EXPECT_THAT(error_of([&] { make_dual_encoder(o, "dual_encoder"); }), ::testing::HasSubstr("did you mean 'affine'?"));
  o = options(kVit, kText), o["imge"] = 1;
  EXPECT_THAT(error_of([&] { make_dual_encoder(o, "dual_encoder"); }), ::testing::HasSubstr("did you mean 'image'?"));
}

TEST(DualEncoder, AnUnknownTextPoolIsRefusedWhenTheModelIsMade) {
  Json o = options(kVit, kText);
  o["text_pool"] = "maen";
  EXPECT_THROW(make_dual_encoder(o, "dual_encoder"), Error);
}

TEST(DualEncoder, ItsOptionsBuildItAgain) {
  const auto model = make_dual_encoder(options(kHybrid, kBert), "dual_encoder");
  const auto again = make_dual_encoder(Json::parse(write_options(model->options()).dump()), "config.json");
  const auto a = model->named_parameters(), b = again->named_parameters();
  ASSERT_EQ(a.size(), b.size());
  for (const auto& item : a) EXPECT_EQ(item.value().sizes(), b[item.key()].sizes()) << item.key();
}

TEST(Unit, HasLengthOneAndTheSameDirection) {
  const Tensor x = torch::randn({4, 7});
  EXPECT_LT(distance(unit(x).norm(2, -1), torch::ones({4})), 1e-6);
  EXPECT_LT(distance(unit(unit(x)), unit(x)), 1e-6);
  EXPECT_LT(distance(unit(3 * x), unit(x)), 1e-6);
}

}  // namespace
}  // namespace tessera

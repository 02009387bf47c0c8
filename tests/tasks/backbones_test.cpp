#include "tasks/backbones.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/files.h"
#include "encoders/classifier.h"
#include "fusion/dual_encoder.h"
#include "layers/block.h"
#include "models/model.h"
#include "support/scratch.h"
#include "tasks/log_plot.h"
#include "vlm/vision_language.h"

namespace tessera {
namespace {

std::filesystem::path list(const std::string& name) {
  return std::filesystem::path(TESSERA_SOURCE_DIR) / "recipes" / "backbones" / (name + ".json");
}

TEST(FittedExponent, IsThatOfAPowerLaw) {
  EXPECT_NEAR(fitted_exponent({{64, 3 * 64.0 * 64}, {128, 3 * 128.0 * 128}, {512, 3 * 512.0 * 512}}), 2, 1e-9);
  EXPECT_NEAR(fitted_exponent({{2, 8}, {0, 1}, {4, 16}}), 1, 1e-9);  // a point without logarithm does not count
  EXPECT_EQ(fitted_exponent({{2, 8}}), 0);
}

TEST(Backbones, EveryOneOfTheListClassifiesAndIsAPictureTowerByItsName) {
  for (const Backbone& backbone : read_backbones(list("small"))) {
    SCOPED_TRACE(backbone.name);
    const Tensor pixels = torch::randn({2, 3, 64, 64});
    const auto classifier =
        make_image_classifier({{"encoder", backbone.encoder}, {"pool", backbone.pool}, {"classes", 5}}, backbone.name);
    EXPECT_EQ(classifier->forward(pixels).sizes(), (std::vector<int64_t>{2, 5}));
    const auto dual = make_dual_encoder(
        {{"image", backbone.encoder},
         {"image_pool", {{"kind", "mean"}}},
         {"text", {{"kind", "text-transformer"}, {"dim", 16}, {"depth", 1}, {"heads", 2}, {"ffn", 16}}},
         {"dim", 8}},
        backbone.name);
    EXPECT_EQ(dual->encode_image(pixels).sizes(), (std::vector<int64_t>{2, 8}));
  }
}

TEST(Backbones, EveryOneOfTheListReadsPicturesOfAnySize) {
  const torch::NoGradGuard no_grad;
  for (const Backbone& backbone : read_backbones(list("small"))) {
    const auto encoder = encoders().make(backbone.encoder, backbone.name);
    encoder->eval();
    // Mega's table of distances ends with the 64 patches that it was made for.
    const int64_t longest = backbone.name == "Mega" ? 90 : 130;
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{64, 64}, {61, 57}, {33, longest}}) {
      SCOPED_TRACE(backbone.name + ": " + std::to_string(height) + " x " + std::to_string(width));
      const Tokens tokens = encoder->forward(torch::randn({1, 3, height, width}));
      EXPECT_EQ(tokens.grid, encoder->layout(height, width).grid);
      EXPECT_EQ(tokens.body().size(1), tokens.grid[0] * tokens.grid[1]);
      EXPECT_TRUE(torch::isfinite(tokens.x).all().item<bool>());
    }
  }
}

TEST(Backbones, EveryBlockAndItsAttentionWeightsCanBeTapped) {
  const torch::NoGradGuard no_grad;
  // Recurrences, convolutions and gates; ViR's retention is computed as a recurrence, too.
  const std::set<std::string> without_weights = {"ViR", "HorNet", "Activator", "Vision-LSTM", "xLSTM",
                                                 "S4D", "Hyena",  "RWKV",      "Mamba",       "Mamba-2"};
  for (const Backbone& backbone : read_backbones(list("small"))) {
    SCOPED_TRACE(backbone.name);
    const auto encoder = encoders().make(backbone.encoder, backbone.name);
    encoder->eval();
    const Taps taps(*encoder, {"*"});
    encoder->forward(torch::randn({1, 3, 64, 64}));
    size_t blocks = 0;
    for (const auto& item : encoder->named_modules()) {
      if (!dynamic_cast<const Block*>(item.value().get())) continue;
      EXPECT_TRUE(taps.has(item.key())) << item.key();
      ++blocks;
    }
    EXPECT_GT(blocks, 0U);
    const bool weighs = std::any_of(taps.all().begin(), taps.all().end(),
                                    [](const auto& tapped) { return tapped.first.ends_with("weights"); });
    EXPECT_NE(weighs, without_weights.contains(backbone.name));
  }
}

constexpr int64_t kPlace = 50;  // beyond the vocabulary

/// A LLaVA-type model with this encoder, as a recipe or config.json says it.
Json llava_config(const Backbone& backbone, const std::string& features) {
  const int64_t width = encoders().make(backbone.encoder, backbone.name)->width();
  return {{"model_type", "tessera-vision-language"},
          {"vision_language",
           {{"encoder", backbone.encoder},
            {"bridge", {{"kind", "mlp"}, {"dim", width}, {"width", 16}}},
            {"language",
             {{"kind", "decoder"},
              {"vocabulary", kPlace},
              {"dim", 16},
              {"depth", 1},
              {"heads", 2},
              {"ffn", 16},
              {"context", 512}}},
            {"placeholder_id", kPlace},
            {"features", features}}}};
}

/// For each picture a prompt of one word, the picture, and two words.
MultimodalBatch asked(const VisionLanguage& model, const Tensor& pixels) {
  MultimodalBatch batch;
  batch.pictures.pixel_values = pixels;
  const auto words = [&](int64_t count, int64_t id) { return torch::full({pixels.size(0), count}, id, torch::kInt64); };
  const int64_t length = model.picture_lengths(batch.pictures).at(0);
  batch.text.ids = torch::cat({words(1, 7), words(length, kPlace), words(2, 9)}, 1);
  return batch;
}

class LlavaType : public ::testing::TestWithParam<std::string> {};

TEST_P(LlavaType, AnswersByThePictureThroughEveryBackboneOfTheListAndTrainsIt) {
  for (const Backbone& backbone : read_backbones(list("small"))) {
    SCOPED_TRACE(backbone.name);
    torch::manual_seed(3);
    const Model made = make_model(llava_config(backbone, GetParam()), backbone.name);
    auto& model = made.as<VisionLanguage>("see");
    model.eval();
    Tensor pixels = torch::randn({2, 3, 64, 64});
    const MultimodalBatch batch = asked(model, pixels.requires_grad_());
    const Tensor logits = model.forward(batch);
    ASSERT_EQ(logits.sizes(), (std::vector<int64_t>{2, batch.text.ids.size(1), kPlace}));

    (logits * torch::randn(logits.sizes())).sum().backward();
    for (const int64_t picture : {0, 1}) EXPECT_GT(pixels.grad()[picture].abs().max().item<double>(), 0);
    EXPECT_TRUE(pixels.grad().isfinite().all().item<bool>());
    const auto learns = [](const Tensor& parameter) {
      return parameter.grad().defined() && parameter.grad().abs().max().item<double>() > 0;
    };
    const auto parameters = model.encoder().parameters();
    EXPECT_TRUE(std::any_of(parameters.begin(), parameters.end(), learns));

    const torch::NoGradGuard no_gradient;
    const Tensor other = torch::cat({pixels.narrow(0, 0, 1), torch::randn({1, 3, 64, 64})});
    const Tensor change = (model.forward(asked(model, other)) - logits).abs().amax(2);  // pictures x tokens
    EXPECT_LT(change[0].max().item<double>(), 1e-5) << "the same picture";
    EXPECT_LT(change[1][0].item<double>(), 1e-6) << "a word before the picture";
    EXPECT_GT(change[1][-1].item<double>(), 1e-5) << "another picture";
  }
}

INSTANTIATE_TEST_SUITE_P(Features, LlavaType, ::testing::Values("patches", "all"),
                         [](const auto& item) { return item.param; });

int64_t parameters_of(const torch::nn::Module& module) {
  int64_t sum = 0;
  for (const auto& parameter : module.parameters()) sum += parameter.numel();
  return sum;
}

TEST(Backbones, TheSmallOnesHaveWithTheirClassifiersAboutAsManyParametersAsEachOther) {
  for (const Backbone& backbone : read_backbones(list("small"))) {
    SCOPED_TRACE(backbone.name);
    const auto classifier =
        make_image_classifier({{"encoder", backbone.encoder}, {"pool", backbone.pool}, {"classes", 10}}, backbone.name);
    EXPECT_NEAR(static_cast<double>(parameters_of(*classifier)), 0.3e6, 0.05e6);
  }
}

TEST(Backbones, TheOnesThatAreMeasuredHaveAsManyParametersAsEachOther) {
  std::set<std::string> names;
  for (const Backbone& backbone : read_backbones(list("five-million"))) {
    SCOPED_TRACE(backbone.name);
    EXPECT_TRUE(names.insert(backbone.name).second);
    EXPECT_NEAR(static_cast<double>(parameters_of(*encoders().make(backbone.encoder, backbone.name))), 5e6, 0.25e6);
  }
}

TEST(Backbones, CostsGrowWithThePictureAndNameTheirInput) {
  const Backbone vit{"ViT", {{"kind", "vit"}, {"dim", 32}, {"depth", 2}, {"heads", 2}, {"ffn", 64}}};
  const BackboneCost cost =
      measure_backbone(vit, {.precision = "float32", .sides = {32, 64, 128}, .side = 64, .batch = 4});
  EXPECT_EQ(cost.growing.size(), 3u);
  EXPECT_EQ(cost.batch.input, (std::vector<int64_t>{4, 3, 64, 64}));
  EXPECT_EQ(cost.batch.flops, 4 * cost.one.flops);
  EXPECT_GT(cost.growing[2].flops, 14 * cost.growing[0].flops);
  EXPECT_GT(cost.growing[2].seconds, 0);
}

TEST(Backbones, AListNamesWhatItDoesNotHave) {
  EXPECT_EQ(read_backbones(list("small"), {"RMT", "ViT"}).front().name, "ViT");  // in the order of the list
  EXPECT_THAT(testing::error_of([] { read_backbones(list("small"), {"RTM"}); }), ::testing::HasSubstr("RMT"));
  const testing::Scratch scratch;
  write_file(scratch / "list.json", "{}");
  EXPECT_THAT(testing::error_of([&] { read_backbones(scratch / "list.json"); }), ::testing::HasSubstr("no list"));
}

TEST(LogPlot, NamesEachLineAndDrawsNoPointWithoutLogarithm) {
  const std::string svg =
      draw({{"Time", "pixels", "ms", {{"A & B", {{64, 1}, {128, 4}}}, {"C", {{64, 0}, {128, 5}}}}}});
  EXPECT_THAT(svg, ::testing::HasSubstr(">A &amp; B</text>"));
  EXPECT_THAT(svg, ::testing::HasSubstr(">C</text>"));
  EXPECT_THAT(svg, ::testing::Not(::testing::HasSubstr("inf")));
  EXPECT_THAT(svg, ::testing::Not(::testing::HasSubstr("nan")));
  EXPECT_THAT(testing::error_of([] { draw({{"Empty", "x", "y", {}}}); }), ::testing::HasSubstr("Empty"));
}

}  // namespace
}  // namespace tessera

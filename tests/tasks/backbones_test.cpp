#include "tasks/backbones.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/files.h"
#include "encoders/classifier.h"
#include "fusion/dual_encoder.h"
#include "support/scratch.h"
#include "tasks/log_plot.h"

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

TEST(Backbones, TheOnesThatAreMeasuredHaveAsManyParametersAsEachOther) {
  std::set<std::string> names;
  for (const Backbone& backbone : read_backbones(list("five-million"))) {
    SCOPED_TRACE(backbone.name);
    EXPECT_TRUE(names.insert(backbone.name).second);
    int64_t parameters = 0;
    for (const auto& parameter : encoders().make(backbone.encoder, backbone.name)->parameters())
      parameters += parameter.numel();
    EXPECT_NEAR(static_cast<double>(parameters), 5e6, 0.25e6);
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

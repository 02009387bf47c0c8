// A ViT whose blocks mix with something else than attention.
#include "encoders/classifier.h"
#include "encoders/frozen_language.h"
#include "encoders/ssast.h"
#include "encoders/vit.h"
#include "layers/mixers.h"
#include "layers/promises.h"

namespace tessera {
namespace {

using testing::distance;

VitOptions small_vit() {
  VitOptions o;
  o.image = {16, 24}, o.patch = {4, 4}, o.dim = 16, o.depth = 2, o.heads = 4, o.ffn = 24, o.class_token = false;
  return o;
}

Tensor pixels(int64_t height = 16, int64_t width = 24) {
  at::manual_seed(3);
  return torch::randn({2, 3, height, width});
}

std::shared_ptr<Vit> make(const VitOptions& options) {
  auto vit = std::make_shared<Vit>(options);
  testing::randomise(*vit, 0.2);
  vit->eval();
  return vit;
}

TEST(VitMixers, AnyMixerAndAnyFeedForwardStandInItsBlocks) {
  for (const Json& mixer : std::vector<Json>{{{"kind", "combiner-fixed"}},
                                             {{"kind", "combiner-axial"}, {"causal", true}},
                                             {{"kind", "mlstm"}, {"grid", true}, {"kernel", 3}},
                                             {{"kind", "s4"}, {"state", 4}},
                                             {{"kind", "retention"}},
                                             {{"kind", "mega"}, {"causal", false}, {"length", 24}},
                                             Json::array({{{"kind", "attention"}}, {{"kind", "mamba"}, {"state", 3}}})})
    for (const Json& ffn : std::vector<Json>{{{"kind", "none"}}, {{"kind", "normalised-glu"}, {"hidden", 20}}}) {
      SCOPED_TRACE(mixer.dump() + ffn.dump());
      VitOptions o = small_vit();
      o.mixer = mixer, o.feed_forward = ffn;
      const auto vit = make(o);
      const Tokens tokens = vit->forward(pixels());
      EXPECT_EQ(tokens.x.sizes(), (std::vector<int64_t>{2, 24, 16}));
      testing::expect_gradients(*vit, tokens.x);
      EXPECT_LT(distance(vit->forward(pixels().narrow(0, 1, 1)).x, tokens.x.narrow(0, 1, 1)), 1e-4);
    }
}

TEST(VitMixers, OptionsSurviveJson) {
  VitOptions o = small_vit();
  o.mixer = {{"kind", "lru"}, {"state", 3}};
  const auto again = read_options<VitOptions>(write_options(o), "test");
  EXPECT_EQ(again.mixer, o.mixer);
  EXPECT_TRUE(again.feed_forward.is_null());
}

TEST(VitMixers, AClassTokenMayStandLast) {
  VitOptions o = small_vit();
  o.class_token = o.class_token_last = true;
  const auto vit = make(o);
  const Tokens tokens = vit->forward(pixels(24, 16));  // another grid than the table's
  EXPECT_EQ(tokens.prefix, 0);
  EXPECT_EQ(tokens.suffix, 1);
  EXPECT_EQ(tokens.body().size(1), 24);
  EXPECT_EQ(tokens.x.size(1), 25);
}

TEST(VitMixers, PatchesMayOverlap) {
  VitOptions o = small_vit();
  o.stride = {2, 4};
  const auto vit = make(o);
  EXPECT_EQ(vit->forward(pixels()).grid, (Grid{7, 6}));
  EXPECT_EQ(vit->layout(16, 24).grid, (Grid{7, 6}));
  o.stride = {0, 4};
  EXPECT_THROW(Vit{o}, Error);
}

TEST(VisionLstm, ReadingFromTheEndIsReadingThePictureTurnedAround) {
  const torch::NoGradGuard no_grad;
  for (const bool grid : {false, true}) {
    const Json options = {{"kind", "mlstm"}, {"dim", 16}, {"heads", 4}, {"grid", grid}, {"kernel", 3}};
    Json backwards = options;
    backwards["reverse"] = true;
    const auto forward = mixers().make(options, "test"), reverse = mixers().make(backwards, "test");
    testing::randomise(*forward), testing::randomise(*reverse);
    Tokens tokens, turned;
    tokens.x = torch::randn({2, 12, 16}), tokens.grid = turned.grid = {3, 4};
    turned.x = tokens.x.flip(1);
    EXPECT_LT(distance(reverse->forward(tokens), forward->forward(turned).flip(1)), 1e-6);
    EXPECT_GT(distance(reverse->forward(tokens), forward->forward(tokens)), 1e-3);
  }
}

TEST(FrozenLanguage, ItsLayersLearnNothingAndKnowNoOrder) {
  VitOptions vit = small_vit();
  vit.final_norm = false;
  FrozenLanguageOptions o;
  o.encoder = write_options(vit);
  o.encoder["kind"] = "vit";
  o.dim = 12, o.heads = 3, o.ffn = 20;
  FrozenLanguage model(o);
  (model.forward(pixels()).x * torch::randn({2, 24, 16})).sum().backward();
  for (const auto& item : model.named_parameters()) {
    const bool frozen = item.key().starts_with("blocks.") || item.key().starts_with("stack_norm.");
    EXPECT_EQ(item.value().requires_grad(), !frozen) << item.key();
    EXPECT_EQ(item.value().grad().defined(), !frozen) << item.key();
  }
}

TEST(Spectrogram, WhatIsMaskedIsNotSeen) {
  const torch::NoGradGuard no_grad;
  VitOptions o = small_vit();
  o.channels = 1, o.class_token = true, o.registers = 1;
  SpectrogramPretraining model(o);
  testing::randomise(model);
  at::manual_seed(4);
  const Tensor picture = torch::randn({1, 1, 16, 24}), masked = torch::tensor({{7, 2}}, torch::kInt64);
  Tensor changed = picture.clone();
  changed.narrow(2, 4, 4).narrow(3, 4, 4).add_(1);  // patch 7: row 1, column 1
  Taps taps(model, {"encoder.norm"});
  model.draw(picture, masked);
  const Tensor seen = taps.at("encoder.norm");
  model.draw(changed, masked);
  EXPECT_EQ(distance(taps.at("encoder.norm"), seen), 0);
  EXPECT_THROW(cluster_mask({1}, 3, 8, 40, 12), Error);
  EXPECT_EQ(cluster_mask({0}, 2, 8, 40, 3), (std::vector<int64_t>{1, 8, 9}));  // never patch 0
}

}  // namespace
}  // namespace tessera

#include "encoders/resnas_supernet.h"

#include <set>

#include "pyramids.h"

namespace tessera {
namespace {

using testing::distance;
using testing::drawn;
using testing::error_of;
using testing::pixels;

ResnasSupernetOptions small(const Json& embedding = {0, 12}) {
  ResnasSupernetOptions options;
  options.image = {56, 56};
  options.network_def = {embedding,
                         {1, {12, 3, 4}, {12, 16}, 1},
                         {1, {12, 3, 4}, {12, 16}, 1},
                         {1, {12, 2, 4}, {12, 16}, 1},
                         {3, 12, 20},
                         {1, {20, 4, 4}, {20, 24}, 1},
                         {2, 20, 5}};
  options.num_channels_to_keep = Json::array({Json::array({12, 8}),
                                              {{"attn", {12, 8, 4}}, {"mlp", {16, 8}}, {"layer", nullptr}},
                                              {{"attn", {12, 4}}, {"mlp", {16, 12, 8}}, {"layer", {12, 0}}},
                                              {{"attn", {8, 4}}, {"mlp", {16, 8}}, {"layer", {12, 12, 0}}},
                                              Json::array({20, 16, 12}),
                                              {{"attn", {16, 12, 8}}, {"mlp", {24, 12}}, {"layer", {20, 0}}},
                                              nullptr});
  options.example_per_arch = 2;
  options.num_warmup_epochs = 0;
  return options;
}

std::shared_ptr<ImageClassifier> classifier(const ResnasSupernetOptions& options) {
  Json encoder = write_options(options);
  encoder["kind"] = "vit-resnas-supernet";
  return drawn<ImageClassifier>(
      ImageClassifierOptions{.encoder = encoder, .distillation = options.distillation, .classes = 5});
}

ResnasSupernet& supernet_of(ImageClassifier& model) { return dynamic_cast<ResnasSupernet&>(model.encoder()); }

/// Widths of several networks, those of one after the other, as keep() takes them.
std::vector<Tensor> side_by_side(const std::vector<std::vector<int64_t>>& networks) {
  std::vector<Tensor> widths;
  for (size_t gene = 0; gene < networks[0].size(); ++gene) {
    std::vector<int64_t> of_gene;
    for (const auto& network : networks) of_gene.push_back(network[gene]);
    widths.push_back(torch::tensor(of_gene, torch::kInt64));
  }
  return widths;
}

std::vector<std::vector<int64_t>> drawn_networks(const SearchSpace& space, size_t count) {
  Random random(7);
  std::vector<std::vector<int64_t>> networks;
  for (size_t i = 0; i < count; ++i) networks.push_back(space.widths(space.network(space.draw(random))));
  return networks;
}

TEST(ResnasSupernet, ASubNetworkComputesWhatTheMaskedSuperNetworkDoes) {
  const torch::NoGradGuard no_grad;
  for (const Json& embedding : {Json{0, 12}, Json{4, 12}})
    for (const bool distillation : {false, true}) {
      ResnasSupernetOptions options = small(embedding);
      options.distillation = distillation;
      const auto model = classifier(options);
      auto& supernet = supernet_of(*model);
      const auto networks = drawn_networks(supernet.space(), 12);
      for (const auto& [height, width] : {std::pair{56, 56}, {71, 43}}) {
        const Tensor picture = pixels(height, width, 12);
        supernet.keep(side_by_side(networks));
        const Tensor masked = model->forward(picture);
        for (int64_t i = 0; i < 12; ++i) {
          const auto alone = extract(*model, supernet.space().network(networks[static_cast<size_t>(i)]));
          alone->eval();
          EXPECT_LT(distance(alone->forward(picture.narrow(0, i, 1)), masked.narrow(0, i, 1)), 1e-4);
        }
      }
    }
}

TEST(ResnasSupernet, AMaskedPassHasTheGradientOfTheSubNetworkAndNoneBeyondIt) {
  const auto model = classifier(small());
  auto& supernet = supernet_of(*model);
  const auto widths = drawn_networks(supernet.space(), 1);
  const auto alone = extract(*model, supernet.space().network(widths[0]));
  alone->eval();
  supernet.keep(side_by_side(widths));
  model->forward(pixels(56, 56)).square().sum().backward();
  alone->forward(pixels(56, 56)).square().sum().backward();
  const auto of_alone = alone->named_parameters();
  for (const auto& item : model->named_parameters()) {
    const Tensor all = item.value().grad();
    const Tensor* part = of_alone.find(item.key());
    if (!part) {  // a block that is left out
      EXPECT_EQ(all.abs().max().item<float>(), 0) << item.key();
      continue;
    }
    EXPECT_NEAR(all.abs().sum().item<float>(), part->grad().abs().sum().item<float>(),
                1e-3F * (1 + all.abs().sum().item<float>()))
        << item.key();
  }
}

TEST(ResnasSupernet, OutsideTrainingItIsTheWidestNetwork) {
  const torch::NoGradGuard no_grad;
  const auto model = classifier(small());
  auto& supernet = supernet_of(*model);
  const auto widest = extract(*model, supernet.space().widest());
  widest->eval();
  EXPECT_TRUE(torch::equal(model->forward(pixels(56, 56)), widest->forward(pixels(56, 56))));
  supernet.keep(side_by_side(drawn_networks(supernet.space(), 1)));
  EXPECT_GT(distance(model->forward(pixels(56, 56)), widest->forward(pixels(56, 56))), 1e-3);
  supernet.keep_all();
  EXPECT_TRUE(torch::equal(model->forward(pixels(56, 56)), widest->forward(pixels(56, 56))));
}

/// How many different results equal pictures have in a batch of eight, while training.
size_t different_results(const ResnasSupernetOptions& options, int64_t epoch) {
  const torch::NoGradGuard no_grad;
  const auto model = classifier(options);
  supernet_of(*model).epoch = epoch;
  model->train();
  at::manual_seed(3);
  const Tensor results = model->forward(pixels(56, 56, 1).expand({8, -1, -1, -1}).contiguous());
  std::set<int64_t> different;
  for (int64_t i = 0; i < 8; ++i) different.insert(std::llround(1e4 * results[i][0].item<double>()));
  return different.size();
}

TEST(ResnasSupernet, WhileTrainingTheBatchIsDividedAmongSubNetworks) {
  ResnasSupernetOptions options = small();
  EXPECT_EQ(different_results(options, 0), 4U) << "two examples each";
  options.example_per_arch = 1;
  EXPECT_GT(different_results(options, 0), 5U);
  options.single_arch = true;
  EXPECT_EQ(different_results(options, 0), 1U);
}

TEST(ResnasSupernet, TheWarmUpBeginsWithTheWidestAlone) {
  ResnasSupernetOptions options = small();
  options.num_warmup_epochs = 4;
  EXPECT_EQ(different_results(options, 0), 1U);
  EXPECT_EQ(different_results(options, 8), 4U);
}

TEST(ResnasSupernet, SortedChannelsAreTheSameFunctionInAnotherOrder) {
  const torch::NoGradGuard no_grad;
  const auto model = classifier(small());
  auto& supernet = supernet_of(*model);
  const Tensor before = model->forward(pixels(56, 56));
  const auto narrow =
      side_by_side({supernet.space().widths(supernet.space().network({12, 4, 8, 0, 12, 16, 0, 8, 16, 20, 0, 16, 24}))});
  supernet.keep(narrow);
  const Tensor narrow_before = model->forward(pixels(56, 56));
  supernet.keep_all();
  supernet.sort_channels();
  EXPECT_LT(distance(model->forward(pixels(56, 56)), before), 1e-4);
  supernet.keep(narrow);
  EXPECT_GT(distance(model->forward(pixels(56, 56)), narrow_before), 1e-3);
  const Tensor up = model->named_parameters()["encoder.blocks.0.ffn.up.weight"],
               bias = model->named_parameters()["encoder.blocks.0.ffn.up.bias"],
               down = model->named_parameters()["encoder.blocks.0.ffn.down.weight"];
  const Tensor importance = up.abs().sum(1) + bias.abs() + down.abs().sum(0);
  EXPECT_TRUE((importance.slice(0, 1) <= importance.slice(0, 0, -1)).all().item<bool>());
}

TEST(ResnasSupernet, IsAnEncoderLikeAnyOther) {
  const auto supernet = drawn<ResnasSupernet>(small());
  testing::expect_an_encoder(*supernet, {{56, 56}, {14, 29}, {71, 43}});
  testing::expect_gradients(*supernet, supernet->forward(pixels(56, 56)).x);
}

TEST(SearchSpace, WidthsAndNetworksAreTheSameThing) {
  const auto options = small();
  const SearchSpace space(read_definition(options.network_def, ""), options.num_channels_to_keep, "");
  Random random(1);
  for (int i = 0; i < 50; ++i) {
    const ResnasDefinition network = space.network(space.draw(random));
    EXPECT_EQ(write_definition(space.network(space.widths(network))), write_definition(network));
    EXPECT_NO_THROW(read_definition(write_definition(network), ""));
    EXPECT_TRUE(network.layers[1].exists || !network.layers[2].exists) << "behind one that is left out";
  }
}

TEST(SearchSpace, WhatIsNoChoiceIsAnErrorThatNamesTheEntry) {
  const auto message = [](size_t entry, const Json& kept) {
    auto options = small();
    options.num_channels_to_keep[entry] = kept;
    return error_of([&] { ResnasSupernet supernet(options); });
  };
  EXPECT_THAT(message(0, {8}), ::testing::HasSubstr("num_channels_to_keep[0]: the first width must be"));
  EXPECT_THAT(message(4, {20, 12, 16}), ::testing::HasSubstr("widest first"));
  EXPECT_THAT(message(1, {{"attn", {12, 6}}, {"mlp", {16}}}), ::testing::HasSubstr("whole heads of 4"));
  EXPECT_THAT(message(1, {{"atn", {12}}}), ::testing::HasSubstr("did you mean 'attn'"));
  EXPECT_THAT(message(2, {{"layer", {12, 8}}}), ::testing::HasSubstr("not at all"));
  EXPECT_THAT(message(1, 5), ::testing::HasSubstr("attn, mlp and layer"));
  auto options = small();
  options.num_channels_to_keep.erase(0);
  EXPECT_THAT(error_of([&] { ResnasSupernet supernet(options); }), ::testing::HasSubstr("each of the 7"));
}

TEST(Extract, RefusesWhatIsNoSubNetwork) {
  const auto model = classifier(small());
  ResnasDefinition network = supernet_of(*model).space().widest();
  network.layers[0].hidden = 15;
  EXPECT_THAT(error_of([&] { extract(*model, network); }), ::testing::HasSubstr("15 channels are not kept"));
}

}  // namespace
}  // namespace tessera

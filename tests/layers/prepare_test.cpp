#include "layers/prepare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/attention.h"
#include "layers/block.h"
#include "layers/feed_forward.h"
#include "layers/prune.h"
#include "layers/variation.h"
#include "layers/weights.h"
#include "support/scratch.h"

namespace tessera {
namespace {

/// What a transformer is made of.
class Small : public Module {
 public:
  explicit Small(bool gated, const AttentionOptions& attention) {
    patch_ = add<Convolution>("patch", ConvolutionOptions{.in = 3,
                                                          .out = attention.dim,
                                                          .kernel_height = 4,
                                                          .kernel_width = 4,
                                                          .stride_height = 4,
                                                          .stride_width = 4});
    std::shared_ptr<FeedForward> ffn;
    if (gated)
      ffn = std::make_shared<GatedMlp>(attention.dim, 100, "silu");
    else
      ffn = std::make_shared<Mlp>(attention.dim, 100, "gelu");
    block_ = add<Block>("block", BlockOptions{.dim = attention.dim, .norm = gated ? "rms" : "layer"},
                        std::make_shared<Attention>(attention), ffn);
    words_ = add<Embedding>("words", 50, attention.dim);
    words_->gives_products = true;
    places_ = add<Embedding>("places", 50, attention.dim);
    eval();
  }
  Tensor forward(const Tensor& pixels) {
    Tokens tokens;
    tokens.x = patch_->forward(pixels).flatten(2).transpose(1, 2);
    tokens.x = tokens.x + places_->forward(torch::arange(tokens.x.size(1)));
    return words_->products(block_->forward(tokens).x);
  }
  Embedding& words() { return *words_; }
  Module& block() { return *block_; }

 private:
  std::shared_ptr<Convolution> patch_;
  std::shared_ptr<Block> block_;
  std::shared_ptr<Embedding> words_, places_;
};

AttentionOptions rotary_attention() {
  AttentionOptions attention{.dim = 32, .heads = 4, .causal = true};
  attention.kv_heads = 2;
  attention.rotary = RotaryOptions();
  return attention;
}

double cosine(const Tensor& a, const Tensor& b) {
  return torch::cosine_similarity(a.flatten(), b.flatten(), 0).item<double>();
}

class PrepareTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { torch::manual_seed(4); }
  Precision precision() const { return precision_of(GetParam(), ""); }
};

TEST_P(PrepareTest, APreparedModelGivesTheSame) {
  const torch::NoGradGuard no_gradient;
  for (const bool gated : {false, true}) {
    Small model(gated, gated ? rotary_attention() : AttentionOptions{.dim = 32, .heads = 4});
    for (auto& parameter : model.parameters()) parameter.normal_(0, 0.3);
    const Tensor pixels = torch::randn({2, 3, 21, 16}), before = model.forward(pixels);
    const Tensor row = model.words().forward(torch::tensor({7}));
    for (const auto& part : prepare(model, precision()))
      EXPECT_TRUE(part.left.empty() || part.path == "places") << part.path << part.left;
    const Tensor after = model.forward(pixels);
    EXPECT_EQ(after.scalar_type(), torch::kFloat32);
    if (precision() == Precision::kFloat32)
      EXPECT_TRUE(after.allclose(before, 1e-4, 1e-4));
    else
      EXPECT_GT(cosine(after, before), GetParam().starts_with("int4") ? 0.97 : 0.995);
    EXPECT_GT(cosine(model.words().forward(torch::tensor({7})), row), 0.999);
  }
}

TEST_P(PrepareTest, WhatWasSavedIsTheSameModelAndIsMapped) {
  const torch::NoGradGuard no_gradient;
  const std::string file = ::testing::TempDir() + "/" + GetParam() + ".safetensors";
  for (const bool gated : {false, true}) {
    const AttentionOptions attention = gated ? rotary_attention() : AttentionOptions{.dim = 32, .heads = 4};
    Small model(gated, attention), again(gated, attention);
    for (auto& parameter : model.parameters()) parameter.normal_(0, 0.3);
    prepare(model, precision());
    save_prepared(model, precision(), file);
    EXPECT_EQ(load_prepared(again, file), precision());
    const Tensor pixels = torch::randn({2, 3, 21, 16}), ids = torch::tensor({3, 49});
    EXPECT_TRUE(torch::equal(again.forward(pixels), model.forward(pixels)));
    EXPECT_TRUE(torch::equal(again.words().forward(ids), model.words().forward(ids)));
    Small other(!gated, gated ? AttentionOptions{.dim = 32, .heads = 4} : rotary_attention());
    EXPECT_THROW(load_prepared(other, file), Error);
  }
}

TEST_P(PrepareTest, WeightsOfAnyFloatingTypeArePackedAsIfTheyWereFloat32) {
  const torch::NoGradGuard no_gradient;
  Small narrow(true, rotary_attention()), wide(true, rotary_attention());
  const auto from = named_tensors(narrow), to = named_tensors(wide);
  for (const auto& [path, tensor] : from) {
    Tensor rounded = torch::randn(tensor.sizes()).to(torch::kBFloat16), target = tensor, copy = to.at(path);
    target.set_data(rounded);
    copy.copy_(rounded);
  }
  prepare(narrow, precision());
  prepare(wide, precision());
  const Tensor pixels = torch::randn({1, 3, 16, 16});
  EXPECT_TRUE(torch::equal(narrow.forward(pixels), wide.forward(pixels)));
}

TEST_P(PrepareTest, PreparingTwiceChangesNothing) {
  const torch::NoGradGuard no_gradient;
  Small model(true, rotary_attention());
  const auto once = prepare(model, precision());
  const Tensor pixels = torch::randn({1, 3, 16, 16}), before = model.forward(pixels);
  const auto twice = prepare(model, precision());
  ASSERT_EQ(twice.size(), once.size());
  for (size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(twice[i].left, once[i].left) << once[i].path;
    EXPECT_EQ(twice[i].bytes, once[i].bytes) << once[i].path;
  }
  EXPECT_TRUE(torch::equal(model.forward(pixels), before));
}

INSTANTIATE_TEST_SUITE_P(Precisions, PrepareTest, ::testing::ValuesIn(precision_names()), [](const auto& item) {
  std::string name = item.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(PreparedModelTest, PrunedLayersAreKeptWithoutTheirZerosAndGiveTheSame) {
  const torch::NoGradGuard no_gradient;
  const testing::Scratch scratch;
  const std::vector<std::string> fours = {"block.attention.qkv", "block.attention.proj", "block.ffn.gate_up",
                                          "block.ffn.down"};
  const std::vector<std::string> eights(fours.begin(), fours.begin() + 3);  // the last has 100 inputs
  for (const auto precision : {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8})
    for (const auto& [of, names] : {std::pair(4, fours), std::pair(8, eights)}) {
      const AttentionOptions attention{.dim = 128, .heads = 4};
      Small model(true, attention), dense(true, attention), again(true, attention);
      for (auto& parameter : model.parameters()) parameter.normal_(0, 0.3);
      const auto pruned = prune_by_magnitude(model, of == 4 ? 2 : 1, of);
      EXPECT_THAT(pruned, ::testing::UnorderedElementsAreArray(names));
      const Tensor pixels = torch::randn({2, 3, 21, 16}), before = model.forward(pixels);
      const auto parts = prepare(model, precision), whole = prepare(dense, precision);
      for (size_t i = 0; i < parts.size(); ++i) {
        const bool sparse = std::find(pruned.begin(), pruned.end(), parts[i].path) != pruned.end();
        EXPECT_EQ(parts[i].sparse, !sparse ? "" : of == 4 ? "2:4" : "1:8") << parts[i].path;
        EXPECT_TRUE(!sparse || parts[i].bytes * of / 4 < whole[i].bytes) << parts[i].path;
      }
      EXPECT_GT(cosine(model.forward(pixels), before), precision == Precision::kFloat32 ? 0.99999 : 0.995);
      save_prepared(model, precision, scratch / "sparse.safetensors");
      load_prepared(again, scratch / "sparse.safetensors");
      EXPECT_TRUE(torch::equal(again.forward(pixels), model.forward(pixels)));
      EXPECT_THROW(prune_by_magnitude(model), Error);
    }
}

TEST(PreparedModelTest, CannotBeSavedOrDifferentiated) {
  Small model(false, {.dim = 32, .heads = 4});
  prepare(model, Precision::kFloat32);
  const NameTable names = {{"*", "*"}};
  EXPECT_THROW(published_tensors(model, names, {}), Error);
  const Tensor pixels = torch::randn({1, 3, 8, 8}).requires_grad_();
  EXPECT_THROW(model.forward(pixels), Error);
}

TEST(PreparedModelTest, WeightsAreGoneAndNoneReadsOn) {
  Small model(false, {.dim = 32, .heads = 4});
  const auto parts = prepare(model, Precision::kFloat32);
  int64_t bytes = 0;
  for (const auto& part : parts) bytes += part.bytes;
  EXPECT_GT(bytes, 0);
  const Tensor weight = named_tensors(model).at("block.attention.qkv.weight");
  EXPECT_TRUE(is_packed_away(weight));
  EXPECT_TRUE(weight.isnan().all().item<bool>());
  EXPECT_EQ(weight.sizes(), torch::IntArrayRef({96, 32}));
}

/// A prepared model's file, of which a test changes what it likes before it is loaded.
class PreparedFileTest : public ::testing::Test {
 protected:
  PreparedFileTest() {
    Small model(false, {.dim = 32, .heads = 4});
    prepare(model, Precision::kBfloat16);
    save_prepared(model, Precision::kBfloat16, file());
    const Checkpoint checkpoint = Checkpoint::open(file());
    metadata_ = checkpoint.metadata();
    for (const auto& [name, info] : checkpoint.tensors()) tensors_[name] = checkpoint.tensor(name).clone();
  }
  std::filesystem::path file() const { return scratch_ / "prepared.safetensors"; }
  /// What loading it says once `tensors_` are in the file.
  std::string refusal() const {
    save_checkpoint(file(), {tensors_.begin(), tensors_.end()}, metadata_);
    Small again(false, {.dim = 32, .heads = 4});
    return testing::error_of([&] { load_prepared(again, file()); });
  }
  testing::Scratch scratch_;
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(PreparedFileTest, ATokenTableOfAnotherShapeOrTypeIsNamed) {
  Tensor& table = tensors_.at("places:packed.table");
  table = torch::zeros({51, 32}, torch::kBFloat16);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("'places'"), HasSubstr("[51, 32]"), HasSubstr("needs [50, 32]")));
  table = torch::zeros({50, 32});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("of Float"), HasSubstr("[50, 32] of BFloat16")));
  tensors_["places:packed.panels"] = table;
  EXPECT_THAT(refusal(), HasSubstr("gives none"));
}

TEST_F(PreparedFileTest, APackedLayerThatIsAnothersIsNamed) {
  tensors_.at("words:packed.panels") = torch::zeros({1, 32, 64, 1}, torch::kBFloat16);  // as many numbers
  EXPECT_THAT(refusal(), AllOf(HasSubstr("'words'"), HasSubstr("'panels' is [1, 32, 64, 1]")));
}

TEST_F(PreparedFileTest, ABiasThatIsMissingOrTooMuchIsNamed) {
  const Tensor bias = tensors_.at("patch:packed.bias");
  tensors_["words:packed.bias"] = bias;
  EXPECT_THAT(refusal(), AllOf(HasSubstr("'words'"), HasSubstr("has a bias")));
  tensors_.erase("words:packed.bias");
  tensors_.erase("patch:packed.bias");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("'patch'"), HasSubstr("no part 'bias'")));
}

TEST_F(PreparedFileTest, APartThatNothingReadsIsNamed) {
  tensors_["block.norm1:packed.panels"] = torch::zeros({1});
  EXPECT_THAT(refusal(), HasSubstr("'block.norm1', which takes none"));
  tensors_.erase("block.norm1:packed.panels");
  tensors_["words:packed.scales"] = torch::zeros({64});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("'words'"), HasSubstr("no place for: 'scales'")));
}

TEST_F(PreparedFileTest, AnOrdinaryTensorOfAnotherShapeIsNamed) {
  tensors_.at("block.norm1.weight") = torch::zeros({31});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("'block.norm1.weight' is [31]"), HasSubstr("[32] of Float")));
}

/// A change that changes nothing.
class Nothing : public Variation {
 public:
  Tensor change(const Tensor&, const Tensor& y, const LayerWeights&) override { return y; }
  LayerWeights merged(const LayerWeights& layer) override { return layer; }
};

TEST(PreparedModelTest, ALayerWithAnAdapterStaysAsItIs) {
  const torch::NoGradGuard no_gradient;
  Small model(false, {.dim = 32, .heads = 4});
  add_variation(*model.block().named_children()["attention"]->named_children()["proj"], "nothing",
                std::make_shared<Nothing>());
  const Tensor pixels = torch::randn({1, 3, 8, 8}), before = model.forward(pixels);
  std::vector<std::string> left;
  for (const auto& part : prepare(model, Precision::kFloat32))
    if (!part.left.empty()) left.push_back(part.path + " " + part.left);
  EXPECT_THAT(left,
              ::testing::ElementsAre("block.attention.proj has an adapter", "places a table of float32 stays one"));
  EXPECT_TRUE(model.forward(pixels).allclose(before, 1e-4, 1e-4));
}

TEST(PreparedModelTest, APackedLayerTakesNoAdapter) {
  const torch::NoGradGuard no_gradient;
  for (const char* name : {"patch", "words", "places"}) {
    Small model(false, {.dim = 32, .heads = 4});
    prepare(model, Precision::kBfloat16);
    EXPECT_TRUE(is_prepared(model));
    add_variation(*model.named_children()[name], "nothing", std::make_shared<Nothing>());
    EXPECT_THAT(testing::error_of([&] {
                  model.forward(torch::randn({1, 3, 8, 8}));
                }),
                HasSubstr("prepared for inference alone"))
        << name;
  }
}

/// Cuts off what follows the point, where rounding would go to the nearest.
Quantised towards_zero(const Tensor& weight, int64_t group) {
  EXPECT_EQ(group, 0);
  const Tensor scales = weight.abs().amax(1, true) / 127;
  return {(weight / scales).trunc().to(torch::kInt8), scales};
}

TEST(PrepareByAQuantiser, LayersHaveItsNumbers) {
  const torch::NoGradGuard no_gradient;
  at::manual_seed(2);
  ModuleList<Linear> layers;
  Linear &first = *layers.append(32, 20), &second = *layers.append(20, 8);
  const Tensor x = torch::randn({3, 32}), weight = first.weight.clone(), bias = first.bias.clone();
  std::vector<std::string> asked;
  const auto parts =
      prepare(layers, Precision::kInt8Weights, [&](const std::string& path, const Tensor& given, int64_t group) {
        asked.push_back(path);
        return path == "0" ? towards_zero(given, group) : to_int8(given);
      });
  EXPECT_THAT(asked, ::testing::UnorderedElementsAre("0", "1"));
  const Tensor want = torch::linear(x, dequantised(towards_zero(weight, 0)), bias);
  const Tensor nearest = torch::linear(x, dequantised(to_int8(weight)), bias);
  const Tensor got = first.forward(x);
  EXPECT_LT((got - want).norm().item<double>(), 0.2 * (nearest - want).norm().item<double>());
  EXPECT_TRUE(second.is_prepared());
}

TEST(PrepareByAQuantiser, AnotherShapeOrRangeIsRefused) {
  const auto refused = [](Precision precision, const PartQuantiser& quantiser) {
    ModuleList<Linear> layers;
    layers.append(32, 20);
    EXPECT_THROW(prepare(layers, precision, quantiser), Error);
    ModuleList<Linear> others;
    others.append(32, 20);
    EXPECT_NO_THROW(prepare(others, precision)) << "it is forgotten";
  };
  refused(Precision::kInt8, [](const std::string&, const Tensor& weight, int64_t) { return to_int8(weight.t()); });
  refused(Precision::kInt8, [](const std::string&, const Tensor& weight, int64_t) {
    return Quantised{torch::full_like(weight, -128, torch::kInt8), torch::ones({20, 1})};
  });
  refused(Precision::kInt4, [](const std::string&, const Tensor& weight, int64_t) { return to_int8(weight); });
}

}  // namespace
}  // namespace tessera

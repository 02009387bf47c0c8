#include "tasks/inspect.h"

#include <gmock/gmock.h>

#include "layers/prepare.h"
#include "support/scratch.h"
#include "tasks/tiny_models.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// What tower_model() is made of, counted by hand. Pictures: 4 patches of 8 x 8 x 3 and a class token; texts: 7 words.
constexpr int64_t kDim = 16, kFfn = 24, kShared = 10, kWords = 7, kContext = 8, kPatch = 8 * 8 * 3;
constexpr int64_t kNorm = 2 * kDim;
constexpr int64_t kBlock = 2 * kNorm + (kDim * 3 * kDim + 3 * kDim) + (kDim * kDim + kDim) +  // norms, qkv, projection
                           (kDim * kFfn + kFfn) + (kFfn * kDim + kDim);
constexpr int64_t kImage = kPatch * kDim + kDim + kDim + 5 * kDim + kBlock + kNorm;  // patches, class token, positions
constexpr int64_t kText = kWords * kDim + kContext * kDim + kBlock + kNorm;

/// Two per multiply-add of one block on a sequence: qkv, projection, both products of attention, feed-forward.
constexpr int64_t block_flops(int64_t length) {
  return 2 * (length * kDim * 3 * kDim + length * kDim * kDim + 2 * length * length * kDim + 2 * length * kDim * kFfn);
}

TEST(Inspect, CountsParametersByPart) {
  const testing::Scratch scratch;
  const Inspection found = inspect(testing::tower_model(scratch / "model"));
  EXPECT_EQ(found.family, "dual-encoder");
  EXPECT_EQ(found.folder, (scratch / "model").string());
  EXPECT_THAT(found.parts,
              ElementsAre(Pair("image", kImage), Pair("image_projection", kDim * kShared), Pair("logit_scale", 1),
                          Pair("text", kText), Pair("text_projection", kDim * kShared)));
  EXPECT_EQ(found.parameters, kImage + kText + 2 * kDim * kShared + 1);
  EXPECT_EQ(found.buffers, 0);
  EXPECT_EQ(found.vocabulary, kWords);
}

TEST(Inspect, CountsWhatAPictureAndATextCost) {
  const testing::Scratch scratch;
  const Model model = testing::tower_model(scratch / "model");
  const Inspection found = inspect(model, 3);
  ASSERT_TRUE(found.picture && found.text);
  EXPECT_EQ(found.picture->input, (std::vector<int64_t>{1, 3, 16, 16}));
  EXPECT_EQ(found.picture->flops, 2 * 4 * kPatch * kDim + block_flops(5) + 2 * kDim * kShared);
  EXPECT_GT(found.picture->seconds, 0);
  EXPECT_EQ(found.text->input, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(found.text->flops, block_flops(3) + 2 * kDim * kShared);
  EXPECT_EQ(inspect(model, 99).text->input, (std::vector<int64_t>{1, kContext})) << "cut to what the model reads";
}

TEST(Inspect, SumsTheBytesOfEachTypeInTheFile) {
  const testing::Scratch scratch;
  testing::colour_model(scratch / "model");
  save_checkpoint(scratch / "model/model.safetensors",
                  {{"text.table", torch::ones({kWords, 3}, torch::kBFloat16)}, {"logit_scale", torch::ones({})}});
  const Inspection found = inspect(load_model(scratch / "model"));
  ASSERT_EQ(found.types.size(), 2U);
  EXPECT_EQ(found.types.at("BF16").tensors, 1);
  EXPECT_EQ(found.types.at("BF16").bytes, kWords * 3 * 2);
  EXPECT_EQ(found.types.at("F32").tensors, 1);
  EXPECT_EQ(found.types.at("F32").bytes, 4);
}

TEST(Inspect, WhatAModelDoesNotReadHasNoCost) {
  const testing::Scratch scratch;
  const Inspection classifier = inspect(testing::classifier_model(scratch / "model", {"cat"}));
  EXPECT_TRUE(classifier.picture);
  EXPECT_FALSE(classifier.text);
  EXPECT_FALSE(classifier.vocabulary);
  Model blind = load_model(scratch / "model");
  blind.processor = nullptr;
  EXPECT_FALSE(inspect(blind).picture);
}

TEST(Inspect, SaysInWhatAFolderWasPreparedAndWhatBecameOfItsParts) {
  const testing::Scratch scratch;
  EXPECT_FALSE(inspect(testing::tower_model(scratch / "model")).prepared);
  std::vector<PreparedPart> packed, found;
  const Model model = load_prepared_model(scratch / "model", Precision::kInt8, &packed);
  save_prepared_model(model, Precision::kInt8, scratch / "packed");
  const Model again = load_prepared_model(scratch / "packed", {}, &found);
  EXPECT_EQ(inspect(again).prepared, Precision::kInt8);
  EXPECT_EQ(inspect(again).parameters, inspect(model).parameters);
  ASSERT_EQ(found.size(), packed.size());
  for (size_t i = 0; i < packed.size(); ++i) {
    EXPECT_EQ(found[i].path, packed[i].path);
    EXPECT_EQ(found[i].bytes, packed[i].bytes) << packed[i].path;
    EXPECT_EQ(found[i].left, packed[i].left) << packed[i].path;
  }
  EXPECT_THAT(testing::error_of([&] { load_prepared_model(scratch / "packed", Precision::kBfloat16, &found); }),
              ::testing::HasSubstr("was prepared in int8"));
}

TEST(CountFlops, OfMatrixProductsIsTwoPerMultiplyAdd) {
  const torch::NoGradGuard no_gradient;
  const Tensor weight = torch::ones({7, 5}), bias = torch::ones({7});
  EXPECT_EQ(count_flops([&] { torch::linear(torch::ones({3, 5}), weight, bias); }), 2 * 3 * 5 * 7);
  EXPECT_EQ(count_flops([&] { torch::linear(torch::ones({2, 3, 5}), weight, bias); }), 2 * 2 * 3 * 5 * 7);
  EXPECT_EQ(count_flops([&] { torch::linear(torch::ones({2, 3, 5}), weight); }), 2 * 2 * 3 * 5 * 7);
  EXPECT_EQ(count_flops([&] {
              torch::matmul(torch::ones({2, 4, 3, 5}), torch::ones({2, 4, 5, 6}));
            }),
            2 * 2 * 4 * 3 * 5 * 6);
}

TEST(CountFlops, OfConvolutionsCountsTheKernelAtEveryPlace) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = torch::ones({2, 4, 9, 9}), bias = torch::ones({6});
  EXPECT_EQ(count_flops([&] {
              torch::conv2d(x, torch::ones({6, 4, 3, 3}), bias, 2);
            }),
            2 * 2 * 6 * 4 * 4 * (4 * 3 * 3));
  EXPECT_EQ(count_flops([&] {
              torch::conv2d(x, torch::ones({6, 2, 3, 3}), {}, 1, 1, 1, 2);
            }),
            2 * 2 * 6 * 9 * 9 * (2 * 3 * 3))
      << "a group reads its own channels";
}

TEST(CountFlops, LeavesElementWiseWorkOutAndStartsAtZero) {
  const torch::NoGradGuard no_gradient;
  count_flops([] { torch::mm(torch::ones({2, 2}), torch::ones({2, 2})); });
  EXPECT_EQ(count_flops([] { (torch::ones({8, 8}) * 2 + 1).softmax(-1).sum(); }), 0);
}

TEST(CountFlops, StopsCountingWhenTheWorkFails) {
  EXPECT_THROW(count_flops([] { throw Error("no"); }), Error);
  const auto product = [] { torch::mm(torch::ones({2, 2}), torch::ones({2, 2})); };
  EXPECT_EQ(count_flops(product), 2 * 2 * 2 * 2) << "counted once";
}

}  // namespace
}  // namespace tessera

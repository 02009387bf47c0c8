#include "core/pad_texts.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

namespace tessera {
namespace {

const std::vector<std::vector<int64_t>> kTexts = {{3, 4}, {}, {5, 6, 7}};

void expect(const TextBatch& batch, const std::vector<std::vector<int64_t>>& ids, int64_t padding) {
  ASSERT_EQ(batch.ids.sizes(), batch.mask.sizes());
  ASSERT_EQ(batch.ids.size(0), static_cast<int64_t>(ids.size()));
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    const torch::Tensor wanted = torch::tensor(ids[i], torch::kInt64);
    EXPECT_TRUE(batch.ids[row].equal(wanted)) << batch.ids;
    EXPECT_TRUE(batch.mask[row].equal(wanted.ne(padding))) << batch.mask;
  }
  EXPECT_FALSE(batch.type_ids.defined());
}

TEST(PadTexts, RowsAreFilledUpToTheLongestAndTheMaskSaysWhatIsReal) {
  expect(pad_texts(kTexts), {{3, 4, 0}, {0, 0, 0}, {5, 6, 7}}, 0);
  expect(pad_texts(kTexts, {.id = 9}), {{3, 4, 9}, {9, 9, 9}, {5, 6, 7}}, 9);
}

TEST(PadTexts, OnTheLeftAllTextsEndAtOnePlace) {
  expect(pad_texts(kTexts, {.id = 9, .left = true}), {{9, 3, 4}, {9, 9, 9}, {5, 6, 7}}, 9);
}

TEST(PadTexts, ARowIsNoShorterAndNoLongerThanAsked) {
  expect(pad_texts(kTexts, {.shortest = 4}), {{3, 4, 0, 0}, {0, 0, 0, 0}, {5, 6, 7, 0}}, 0);
  expect(pad_texts(kTexts, {.longest = 1}), {{3}, {0}, {5}}, 0);
  expect(pad_texts(kTexts, {.left = true, .longest = 2}), {{3, 4}, {0, 0}, {5, 6}}, 0);
  EXPECT_EQ(pad_texts(kTexts, {.longest = 7}).ids.size(1), 3);
}

TEST(PadTexts, NoTextsAreABatchOfNone) { EXPECT_EQ(pad_texts(std::vector<std::vector<int64_t>>()).ids.numel(), 0); }

}  // namespace
}  // namespace tessera

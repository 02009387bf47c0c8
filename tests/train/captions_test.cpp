#include "train/captions.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"

namespace tessera {
namespace {

std::vector<Concept> animals() {
  std::vector<Concept> all(4);
  all[0] = {"1", {{"en", "cat face"}, {"de", "Katze"}}, {{"en", {"cat", "face"}}}};
  all[1] = {"2", {{"en", "cat"}, {"de", "Katze"}}, {{"en", {"pet"}}}};
  all[2] = {"3", {{"en", "dog face"}}, {{"en", {"face"}}}};
  all[3] = {"4", {{"en", "tree"}}, {}};
  return all;
}

std::vector<int64_t> letters(const std::string& text) { return {text.begin(), text.end()}; }

TEST(Captions, NeverCallsAMatchANegative) {
  const Captions captions(animals(), {.languages = {{"de", 1}}, .candidates = 2}, letters, 0);
  Random random(1);
  const Candidates drawn = captions.draw({0, 1, 2}, random);
  ASSERT_EQ(drawn.texts.ids.size(0), 2);
  const Tensor expected = torch::tensor({1, 1, 1, 1, -1, -1}, torch::kInt8).view({3, 2});  // both are called Katze
  EXPECT_TRUE(drawn.match.equal(expected)) << drawn.match;
}

TEST(Captions, ANameIsNegativeForAKeywordOfTheSameWord) {
  const Captions captions(animals(), {.candidates = 4}, letters, 0);
  Random random(1);
  const Candidates drawn = captions.draw({0, 1}, random);
  EXPECT_EQ(drawn.match[0][1].item<int64_t>(), 0);  // "cat" for the cat face
  EXPECT_EQ(drawn.match.gt(0).sum().item<int64_t>(), 2);
  EXPECT_EQ(drawn.begins, (std::vector<int64_t>{0, 4}));
}

TEST(Captions, AKeywordOfAnotherIsUnknownWhereItFits) {
  const Captions captions(animals(), {.candidates = 1, .keyword = 1}, letters, 0);
  bool met = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const Candidates drawn = captions.draw({2, 0}, random);
    EXPECT_EQ(drawn.concepts[0].item<int64_t>(), -1);
    EXPECT_EQ(drawn.match[0][0].item<int64_t>(), 1);  // "face", of the dog face
    EXPECT_EQ(drawn.match[1][0].item<int64_t>(), -1);
    met = true;
  }
  EXPECT_TRUE(met);
}

TEST(Captions, DrawsDifferentLanguagesAndPads) {
  const Captions captions(animals(),
                          {.languages = {{"en", 1}, {"de", 1}}, .languages_per_step = 2, .candidates = 4, .context = 5},
                          letters, 7);
  Random random(3);
  const Candidates drawn = captions.draw({0}, random);
  ASSERT_EQ(drawn.begins.size(), 3U);
  EXPECT_EQ(drawn.texts.ids.size(1), 5);
  EXPECT_TRUE(drawn.texts.ids.masked_select(~drawn.texts.mask).eq(7).all().item<bool>());
}

TEST(Captions, RefusesWhatIsHeldOut) {
  auto concepts = animals();
  concepts[2].seen = false;
  EXPECT_THROW(Captions(concepts, {}, letters, 0), Error);
  EXPECT_THROW(Captions(animals(), {.languages = {{"xx", 1}}}, letters, 0), Error);
}

}  // namespace
}  // namespace tessera

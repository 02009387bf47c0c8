#include "vlm/florence2_tasks.h"

#include <gmock/gmock.h>

#include "support/scratch.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;

TEST(Florence2Prompt, ATaskBecomesItsQuestion) {
  EXPECT_EQ(florence2_prompt("<CAPTION>"), "What does the image describe?");
  EXPECT_EQ(florence2_prompt("<OD>"), "Locate the objects with category name in the image.");
  EXPECT_EQ(florence2_prompt("<OPEN_VOCABULARY_DETECTION> a dog "), "Locate a dog in the image.");
  EXPECT_EQ(florence2_prompt("<REGION_TO_CATEGORY><loc_1><loc_2><loc_3><loc_4>"),
            "What is the region <loc_1><loc_2><loc_3><loc_4>?");
}

TEST(Florence2Prompt, OtherTextStays) {
  for (const char* text : {"", "What colour is it?", "a < b", "< no task"}) EXPECT_EQ(florence2_prompt(text), text);
}

TEST(Florence2Prompt, ATextBesideATaskIsThereWhereItIsNeeded) {
  EXPECT_THAT(error_of([] { florence2_prompt("<CAPTION>a dog"); }), HasSubstr("takes no text, and there is 'a dog'"));
  EXPECT_THAT(error_of([] { florence2_prompt("<OPEN_VOCABULARY_DETECTION>"); }), HasSubstr("needs a text"));
  EXPECT_THAT(error_of([] { florence2_prompt("<CAPTIONS>"); }), HasSubstr("'<CAPTION>'"));
}

TEST(Florence2Prompt, ATaskAsksForPlacesOrForWords) {
  for (const char* text : {"<OD>", "<OPEN_VOCABULARY_DETECTION>a dog", "<OCR_WITH_REGION>"})
    EXPECT_TRUE(florence2_asks_for_places(text)) << text;
  for (const char* text : {"<CAPTION>", "<REGION_TO_OCR><loc_1>", "Locate a dog in the image.", ""})
    EXPECT_FALSE(florence2_asks_for_places(text)) << text;
}

TEST(Florence2Answer, WordsComeWithoutTheirMarks) {
  for (const std::string& task : florence2_tasks())
    if (task.find("CAPTION>") != std::string::npos && task != "<DENSE_REGION_CAPTION>") {
      const Florence2Answer answer = florence2_answer(task, "</s><s> A red fox.</s><pad><pad>", 10, 10);
      EXPECT_EQ(answer.text, "A red fox.") << task;
      EXPECT_TRUE(answer.regions.empty());
    }
}

TEST(Florence2Answer, PlacesAreTheCentresOfThousandths) {
  const Florence2Answer answer = florence2_answer("<OD>", "</s><s>car<loc_0><loc_0><loc_999><loc_499></s>", 2000, 1000);
  ASSERT_EQ(answer.regions.size(), 1u);
  EXPECT_EQ(answer.regions[0].label, "car");
  EXPECT_THAT(answer.regions[0].box, ElementsAre(1, 0.5, 1999, 499.5));
}

TEST(Florence2Answer, ALabelMayHaveSeveralBoxes) {
  const std::string written =
      "wheel<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6><loc_7><loc_8>front door<loc_9><loc_10><loc_11><loc_12>";
  for (const char* task : {"<OD>", "<DENSE_REGION_CAPTION>", "<CAPTION_TO_PHRASE_GROUNDING>"}) {
    const auto regions = florence2_answer(task, written, 1000, 1000).regions;
    ASSERT_EQ(regions.size(), 3u);
    EXPECT_EQ(regions[0].label, "wheel");
    EXPECT_EQ(regions[1].label, "wheel");
    EXPECT_THAT(regions[1].box, ElementsAre(5.5, 6.5, 7.5, 8.5));
    EXPECT_EQ(regions[2].label, "front door");
  }
}

TEST(Florence2Answer, LinesOfTextHaveFourCorners) {
  const std::string corners = "<loc_0><loc_1><loc_2><loc_3><loc_4><loc_5><loc_6><loc_7>";
  const auto regions = florence2_answer("<OCR_WITH_REGION>", "<s>STOP" + corners + "1 < 2" + corners, 1000, 1000);
  ASSERT_EQ(regions.regions.size(), 2u);
  EXPECT_EQ(regions.regions[0].label, "STOP");
  EXPECT_THAT(regions.regions[0].quad, ElementsAre(0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5));
  EXPECT_EQ(regions.regions[1].label, "1 < 2");
}

TEST(Florence2Answer, ProposalsNeedNoLabel) {
  const std::string box = "<loc_1><loc_2><loc_3><loc_4>";
  EXPECT_EQ(florence2_answer("<REGION_PROPOSAL>", "<s>" + box + box + "</s>", 100, 100).regions.size(), 2u);
  EXPECT_TRUE(florence2_answer("<OD>", "<s>" + box + box + "</s>", 100, 100).regions.empty());
}

TEST(Florence2Answer, AMaskMayHaveSeveralPolygons) {
  const std::string one = "<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6>", other = "<loc_7><loc_8><loc_9>";
  const auto regions =
      florence2_answer("<REFERRING_EXPRESSION_SEGMENTATION>", "<s>" + one + "<sep>" + other + "</s>", 1000, 1000)
          .regions;
  ASSERT_EQ(regions.size(), 1u);
  ASSERT_EQ(regions[0].polygons.size(), 2u);
  EXPECT_THAT(regions[0].polygons[0], ElementsAre(1.5, 2.5, 3.5, 4.5, 5.5, 6.5));
  EXPECT_THAT(regions[0].polygons[1], ElementsAre(7.5, 8.5)) << "half a point is left out";
}

TEST(Florence2Answer, DetectionAnswersWithBoxesOrMasks) {
  const std::string places = "<loc_1><loc_2><loc_3><loc_4>";
  const char* task = "<OPEN_VOCABULARY_DETECTION>";
  const auto boxes = florence2_answer(task, "cat" + places, 1000, 1000).regions;
  ASSERT_EQ(boxes.size(), 1u);
  EXPECT_EQ(boxes[0].box.size(), 4u);
  const auto masks =
      florence2_answer(task, "cat<poly>" + places + "</poly><poly>" + places + "</poly>", 1000, 1000).regions;
  ASSERT_EQ(masks.size(), 2u);
  for (const auto& mask : masks) {
    EXPECT_EQ(mask.label, "cat");
    EXPECT_EQ(mask.polygons.size(), 1u);
    EXPECT_TRUE(mask.box.empty());
  }
}

TEST(Florence2Answer, WhatBreaksOffIsLeftOut) {
  const std::string whole = "cat<loc_1><loc_2><loc_3><loc_4>dog<loc_5><loc_6><loc_7><loc_8>";
  for (size_t length = 0; length <= whole.size(); ++length)
    for (const std::string& task : florence2_tasks()) {
      const auto regions = florence2_answer(task, whole.substr(0, length), 100, 100).regions;
      for (const auto& region : regions) EXPECT_TRUE(region.box.empty() || region.box.size() == 4);
      EXPECT_LE(regions.size(), 2u);
    }
  EXPECT_TRUE(florence2_answer("<OD>", "cat<loc_1000><loc_-1><loc_x><loc_>", 9, 9).regions.empty());
}

TEST(Florence2Answer, WhatCannotBeReadIsAnError) {
  EXPECT_THROW(florence2_answer("<O>", "cat", 10, 10), Error);
  EXPECT_THROW(florence2_answer("<OD>", "cat", 0, 10), Error);
}

}  // namespace
}  // namespace tessera

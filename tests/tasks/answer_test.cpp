#include "tasks/answer.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "language/encoder_decoder.h"
#include "support/scratch.h"
#include "tasks/tiny_models.h"
#include "vlm/florence2_tasks.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr double kNear = 1e-4;
constexpr const char* kTemplate =
    "{% for m in messages %}<{{ m.role }}>{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}"
    "{{ p.text }}{% endif %}{% endfor %}{% endfor %}<assistant>";

/// A model and the prompts that it must be given, with <image> for each token of its picture.
struct Subject {
  std::string family, chat_template, question, caption;
};

std::string places(int count) {
  std::string text;
  while (count-- > 0) text += "<image>";
  return text;
}

std::vector<Subject> subjects() {
  return {{"any", "", places(4) + "\nWhat?\n", places(4) + "\nDescribe this picture.\n"},
          {"any", kTemplate, "<user>" + places(4) + "What?<assistant>",
           "<user>" + places(4) + "Describe this picture.<assistant>"},
          {"llava", "",
           "USER: " + places(4) + "\nWhat? ASSISTANT:", "USER: " + places(4) + "\nDescribe this picture. ASSISTANT:"},
          {"paligemma", "", places(4) + "<bos>answer en What?\n", places(4) + "<bos>caption en\n"},
          {"blip2-opt", "", places(3) + "Question: What? Answer:", places(3)},
          {"blip2-t5", "", places(3) + "Question: What? Answer:", places(3)},
          {"instructblip", "", places(3) + "What?", places(3) + "Describe this picture."},
          {"florence2", "", places(2) + "What?", places(2) + "What does the image describe?"}};
}

ImageBatch some_pictures(int64_t count) {
  at::manual_seed(3);
  ImageBatch pictures;
  pictures.pixel_values = torch::randn({count, 3, 8, 8});
  return pictures;
}

Tensor row_of(const std::vector<int64_t>& ids) { return torch::tensor(ids, torch::kInt64).unsqueeze(0); }

/// The logits of the token behind a prompt and what was written so far, with nothing kept from one token to the next.
Tensor next_logits(VisionLanguage& model, const MultimodalBatch& asked, const std::vector<int64_t>& written) {
  if (dynamic_cast<EncoderDecoder*>(&model.language())) {
    MultimodalPrompt prompt = model.begin(asked);
    Tensor logits = model.logits(model.hidden(prompt.tokens, &prompt.state).x);
    if (!written.empty()) logits = model.forward({row_of(written), {}, {}}, &prompt.state);
    return logits[0][-1];
  }
  MultimodalBatch whole = asked;
  if (!written.empty()) {
    whole.text.ids = torch::cat({asked.text.ids, row_of(written)}, 1);
    whole.text.type_ids = torch::cat({asked.text.type_ids, torch::ones_like(row_of(written))}, 1);
  }
  return model.forward(whole)[0][-1];
}

/// What the likeliest tokens say after a prompt, by the model's logits alone.
Answer likeliest(const Model& model, const ImageBatch& picture, const std::string& prompt, const std::string& words) {
  const torch::NoGradGuard no_gradient;
  auto& vision = model.as<VisionLanguage>("be tested");
  MultimodalBatch asked;
  asked.pictures = picture;
  asked.text.ids = row_of(model.tokenizer->encode(prompt).ids);
  asked.text.type_ids = torch::zeros_like(asked.text.ids);
  if (model.instruction_tokenizer) asked.instruction.ids = row_of(model.instruction_tokenizer->encode(words).ids);
  Answer answer;
  std::vector<int64_t> written;
  while (written.size() < 8 && (written.empty() || written.back() != testing::kEnd)) {
    const Tensor scores = next_logits(vision, asked, written).log_softmax(0);
    const auto word = scores.narrow(0, 0, testing::kWritten).argmax().item<int64_t>();
    const bool ends = scores[testing::kEnd].item<double>() > scores[word].item<double>();
    written.push_back(ends ? testing::kEnd : word);
    answer.log_probability += scores[written.back()].item<double>();
  }
  std::erase(written, testing::kEnd);
  answer.text = model.tokenizer->decode(written);
  return answer;
}

void expect_same(const Answer& got, const Answer& wanted, const std::string& what) {
  EXPECT_EQ(got.text, wanted.text) << what;
  EXPECT_NEAR(got.log_probability, wanted.log_probability, kNear) << what;
}

TEST(PictureAnswerer, AnswersAreTheLikeliestWordsAfterThePromptOfTheFamily) {
  for (const Subject& subject : subjects()) {
    const testing::Scratch scratch;
    const Model model = testing::talking_model(scratch.path(), subject.family, subject.chat_template);
    const auto answerer = picture_answerer(model);
    const ImageBatch picture = some_pictures(1);
    expect_same(answerer->answer(picture, {.question = "What?"}).at(0),
                likeliest(model, picture, subject.question, "What?"), subject.family + subject.chat_template);
    expect_same(answerer->answer(picture, {.caption = "en"}).at(0),
                likeliest(model, picture, subject.caption, "Describe this picture."), subject.family + ": caption");
  }
}

TEST(PictureAnswerer, PicturesTogetherAreAnsweredAsEachAlone) {
  for (const char* family : {"any", "instructblip", "florence2"}) {
    const testing::Scratch scratch;
    const auto answerer = picture_answerer(testing::talking_model(scratch.path(), family));
    const ImageBatch all = some_pictures(3);
    const auto together = answerer->answer(all, {.question = "What?"});
    ASSERT_EQ(together.size(), 3U);
    for (int64_t i = 0; i < 3; ++i) {
      ImageBatch one;
      one.pixel_values = all.pixel_values.narrow(0, i, 1);
      expect_same(together[static_cast<size_t>(i)], answerer->answer(one, {.question = "What?"}).at(0), family);
    }
    EXPECT_NE(together[0].log_probability, together[1].log_probability) << family;
  }
}

TEST(PictureAnswerer, AnotherLanguageIsAskedForInWordsWhereTheModelTakesThem) {
  const testing::Scratch scratch;
  const ImageBatch picture = some_pictures(1);
  for (const auto& [family, prompt] :
       {std::pair<std::string, std::string>{"any", places(4) + "\nDescribe this picture in German.\n"},
        {"paligemma", places(4) + "<bos>caption de\n"}}) {
    const Model model = testing::talking_model(scratch / family, family);
    expect_same(picture_answerer(model)->answer(picture, {.caption = "de"}).at(0),
                likeliest(model, picture, prompt, ""), family);
  }
  for (const char* family : {"blip2-opt", "florence2"}) {
    const auto answerer = picture_answerer(testing::talking_model(scratch / family, family));
    EXPECT_THAT(error_of([&] { answerer->answer(picture, {.caption = "de"}); }),
                AllOf(HasSubstr("in English alone, not in German"), HasSubstr("leave it out")))
        << family;
  }
}

TEST(PictureAnswerer, ATaskOfFlorence2IsAskedAsItWasTrained) {
  const testing::Scratch scratch;
  const Model model = testing::talking_model(scratch.path(), "florence2");
  const ImageBatch picture = some_pictures(1);
  expect_same(picture_answerer(model)->answer(picture, {.question = "<OCR>"}).at(0),
              likeliest(model, picture, places(2) + "What is the text in the image?", ""), "<OCR>");
}

/// Writes places alone: token n is "<loc_n>".
std::shared_ptr<Tokenizer> places_tokenizer() {
  Json vocabulary = Json::object();
  for (int64_t id = 0; id < testing::kWritten; ++id) vocabulary["<loc_" + std::to_string(id) + ">"] = id;
  const auto added = [](int64_t id, const char* text) {
    return Json{{"id", id}, {"content", text}, {"special", true}, {"normalized", false}};
  };
  const Json file = {{"added_tokens", {added(testing::kEnd, "</s>"), added(testing::kEnd + 1, "<image>")}},
                     {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                     {"decoder", {{"type", "Fuse"}}},
                     {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "<loc_0>"}}}};
  return std::make_shared<Tokenizer>(parse_tokenizer_json(file.dump()));
}

TEST(PictureAnswerer, ATaskOfFlorence2ThatAsksForPlacesIsAnsweredWithPlaces) {
  const testing::Scratch scratch;
  Model model = testing::talking_model(scratch.path(), "florence2");
  model.tokenizer = places_tokenizer();
  model.generation["min_new_tokens"] = 8;
  ImageBatch picture = some_pictures(1);
  const auto ask = [&](const std::string& question) {
    return picture_answerer(model)->answer(picture, {.question = question}).at(0);
  };
  const Answer plain = ask("Locate the region proposals in the image.");  // what the task says in words
  EXPECT_FALSE(plain.regions);
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{8, 8}, {1000, 3000}}) {
    if (height > 8) picture.image_sizes = torch::tensor({{height, width}}, torch::kInt64);
    const Answer found = ask("<REGION_PROPOSAL>");
    ASSERT_TRUE(found.regions);
    ASSERT_EQ(found.regions->size(), 2U) << plain.text;
    const auto expected = florence2_answer("<REGION_PROPOSAL>", plain.text, width, height).regions;
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(found.regions->at(i).box, expected.at(i).box);
    EXPECT_EQ(std::count(found.text.begin(), found.text.end(), '\n'), 1) << found.text;
    EXPECT_THAT(found.text, StartsWith("at " + std::to_string(std::lround(expected[0].box[0])) + ", "));
  }
  EXPECT_FALSE(ask("<OCR>").regions);
}

TEST(PictureAnswerer, AnAnswerHasNoMoreTokensThanAskedFor) {
  const testing::Scratch scratch;
  const Model model = testing::talking_model(scratch.path());
  const std::string text = picture_answerer(model, 2)->answer(some_pictures(1), {.question = "What?"}).at(0).text;
  EXPECT_LE(text.size(), 2U);
  EXPECT_THAT(picture_answerer(model)->answer(some_pictures(1), {.question = "What?"}).at(0).text, StartsWith(text));
}

TEST(PictureAnswerer, WhatTheFolderLacksIsSaid) {
  const testing::Scratch scratch;
  EXPECT_THAT(error_of([&] { picture_answerer(testing::classifier_model(scratch / "vit", {"cat"})); }),
              AllOf(HasSubstr("cannot answer questions about pictures"), HasSubstr("--model FOLDER")));
  Model model = testing::talking_model(scratch / "any");
  model.tokenizer = testing::tower_model(scratch / "words").tokenizer;
  EXPECT_THAT(error_of([&] { picture_answerer(model)->answer(some_pictures(1), {.question = "What?"}); }),
              HasSubstr("has no token <image>"));
  model.tokenizer = nullptr;
  EXPECT_THAT(error_of([&] { picture_answerer(model); }), HasSubstr("ships no tokenizer"));
  model.processor = nullptr;
  EXPECT_THAT(error_of([&] { picture_answerer(model); }), HasSubstr("holds no image processor"));
}

TEST(PictureAnswerer, AQuestionThatSpellsAPlaceIsRefused) {
  const testing::Scratch scratch;
  const auto answerer = picture_answerer(testing::talking_model(scratch.path()));
  EXPECT_THAT(error_of([&] { answerer->answer(some_pictures(1), {.question = "What is <image>?"}); }),
              HasSubstr("2 times <image>"));
}

}  // namespace
}  // namespace tessera

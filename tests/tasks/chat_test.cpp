#include "tasks/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "layers/promises.h"
#include "support/scratch.h"
#include "tasks/tiny_models.h"
#include "text/examples.h"

namespace tessera {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

constexpr const char* kTemplate =
    "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant] {% "
    "endif %}";

/// A small decoder with drawn weights that reads and writes bytes, and has a chat template.
Model chatting_model(const std::filesystem::path& folder, bool with_template = true, int64_t context = 256) {
  const Json options = {{"kind", "decoder"}, {"vocabulary", 401}, {"dim", 16},         {"depth", 2},
                        {"heads", 2},        {"ffn", 24},         {"context", context}};
  Model model = make_model({{"model_type", "tessera-language-model"}, {"language_model", options}}, "test");
  testing::randomise(*model.module);
  model.tokenizer = std::make_shared<Tokenizer>(parse_tokenizer_json(testing::byte_level_json().dump()));
  if (with_template) model.chat_template = kTemplate;
  save_model(model, folder);
  return load_model(folder);
}

const GenerateOptions kSampled = {.max_new_tokens = 12, .end_ids = {400}, .do_sample = true, .seed = 5};

TEST(Conversation, StreamedPiecesAreTheAnswerAndTheHistoryKeepsBoth) {
  const testing::Scratch scratch;
  Conversation conversation(chatting_model(scratch.path()));
  std::string streamed;
  const std::string text =
      conversation.say("hello", kSampled, {.on_text = [&](const std::string& piece) { streamed += piece; }}).text;
  EXPECT_EQ(streamed, text);
  ASSERT_EQ(conversation.history().size(), 2U);
  EXPECT_EQ(conversation.history()[0].at("content"), "hello");
  EXPECT_EQ(conversation.history()[1].at("content"), text);
}

/// What the state has seen is not read again, and nothing but time shows it.
TEST(Conversation, ALaterAnswerIsThatOfTheWholeConversationReadAnew) {
  const testing::Scratch scratch;
  const Model model = chatting_model(scratch.path());
  Conversation conversation(model);
  conversation.say("hello", kSampled);
  ChatJson messages = conversation.history();
  const std::string later = conversation.say("and you?", kSampled).text;

  messages.push_back({{"role", "user"}, {"content", "and you?"}});
  const std::string prompt = ChatTemplate(kTemplate).render(messages, {.add_generation_prompt = true});
  auto& language = model.as<LanguageModel>("be tested");
  const auto ids = torch::tensor(model.tokenizer->encode(prompt).ids, torch::kInt64).unsqueeze(0);
  LanguageState state = language.start();
  auto made = decode(language, text_prompt(language, {ids, {}, {}}), state, kSampled).front().ids;
  std::erase(made, 400);
  std::vector<int64_t> all(ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + ids.numel());
  const std::string before = model.tokenizer->decode(all);
  all.insert(all.end(), made.begin(), made.end());
  EXPECT_EQ(model.tokenizer->decode(all).substr(before.size()), later);
}

TEST(Conversation, AnInterruptedAnswerLeavesAUsableConversation) {
  const testing::Scratch scratch;
  Conversation conversation(chatting_model(scratch.path()));
  int tokens = 0;
  conversation.say("hello", kSampled, {.interrupted = [&] { return ++tokens > 3; }});
  EXPECT_EQ(conversation.history().size(), 2U);
  EXPECT_NO_THROW(conversation.say("again", kSampled));
  conversation.reset();
  EXPECT_TRUE(conversation.history().empty());
}

TEST(Conversation, WhatCannotBeSaidChangesNothing) {
  const testing::Scratch scratch;
  Conversation conversation(chatting_model(scratch.path(), true, 64));
  EXPECT_THROW(conversation.say("  ", kSampled), Error);
  EXPECT_THROW(conversation.say(std::string(300, 'a'), kSampled), Error);
  EXPECT_THROW(conversation.show("picture.png"), Error);
  EXPECT_TRUE(conversation.history().empty());
  EXPECT_NO_THROW(conversation.say("hi", kSampled));
}

TEST(Conversation, AFolderWithoutATemplateSaysWhatElseItCanDo) {
  const testing::Scratch scratch;
  EXPECT_THAT(error_of([&] { Conversation(chatting_model(scratch / "text", false)); }), HasSubstr("tessera generate"));
  EXPECT_THAT(error_of([&] { Conversation(testing::talking_model(scratch / "vision")); }), HasSubstr("tessera ask"));
  EXPECT_THAT(error_of([&] { Conversation(testing::classifier_model(scratch / "vit", {"cat"})); }),
              HasSubstr("cannot hold a conversation"));
}

constexpr const char* kSeeing =
    "{% for m in messages %}[{{ m.role }}] {% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content "
    "%}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endif %}\n{% endfor %}{% if "
    "add_generation_prompt %}[assistant] {% endif %}";

/// A model that sees, its folder, and two pictures.
class SeeingConversation : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::write_colour(red, {255, 0, 0});
    testing::write_colour(blue, {0, 0, 255});
  }
  Model model(const std::string& family, const char* chat_template = kSeeing) const {
    return testing::talking_model(scratch / family, family, chat_template);
  }

  testing::Scratch scratch;
  const std::filesystem::path red = scratch / "red.png", blue = scratch / "blue.png";
  const GenerateOptions options = {.max_new_tokens = 6, .do_sample = true, .seed = 5};
};

/// What a model says to messages and pictures that it was never shown before.
Answer anew(const Model& model, const ChatJson& messages, const std::vector<std::filesystem::path>& pictures,
            const GenerateOptions& options) {
  const torch::NoGradGuard no_gradient;
  auto& vision = model.as<VisionLanguage>("be tested");
  std::vector<Image> images;
  for (const auto& path : pictures) {
    const std::string bytes = read_file(path);
    images.push_back(decode_image(Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), path.string()));
  }
  MultimodalBatch batch;
  if (!images.empty()) batch.pictures = (*model.processor)(images);
  const std::string text = ChatTemplate(kSeeing).render(messages, {.add_generation_prompt = true});
  const auto ids = model.tokenizer->encode(vision.expand_placeholders(text, batch.pictures)).ids;
  batch.text.ids = torch::tensor(ids, torch::kInt64).unsqueeze(0);
  batch.text.type_ids = torch::zeros_like(batch.text.ids);
  MultimodalPrompt prompt = vision.begin(batch);
  GenerateOptions with = options;
  with.log_probabilities = true;
  const Generated made = decode(vision, prompt, prompt.state, with).front();
  Answer answer{model.tokenizer->decode(made.ids), 0};
  for (const double each : made.log_probabilities) answer.log_probability += each;
  return answer;
}

/// "any" goes on with its state, PaliGemma reads all anew, since its prompt is one span, and T5 has an encoder.
TEST_F(SeeingConversation, EachAnswerIsThatOfAllPicturesAndMessagesReadAnew) {
  for (const char* family : {"any", "paligemma", "blip2-t5"}) {
    const Model seeing = model(family);
    Conversation conversation(seeing);
    const auto expect_anew = [&](const Answer& answer, const std::vector<std::filesystem::path>& pictures) {
      ChatJson messages = conversation.history();
      messages.erase(messages.size() - 1);
      const Answer wanted = anew(seeing, messages, pictures, options);
      EXPECT_EQ(answer.text, wanted.text) << family << pictures.size();
      EXPECT_NEAR(answer.log_probability, wanted.log_probability, 1e-4) << family << pictures.size();
      EXPECT_LT(answer.log_probability, 0) << family;
    };
    expect_anew(conversation.say("hi", options), {});
    conversation.show(red);
    expect_anew(conversation.say("what is it?", options), {red});
    expect_anew(conversation.say("and then?", options), {red});
    conversation.show(blue);
    conversation.show(red);
    expect_anew(conversation.say("and these?", options), {red, blue, red});
  }
}

TEST_F(SeeingConversation, AConversationThatBeginsAnewHasNoPicturesOfTheLast) {
  const Model seeing = model("any");
  Conversation conversation(seeing);
  conversation.show(red);
  conversation.say("what is it?", options);
  conversation.reset();
  const double said = conversation.say("hi", options).log_probability;
  EXPECT_EQ(said, Conversation(seeing).say("hi", options).log_probability);
  conversation.show(blue);
  conversation.say("and this?", options);
  EXPECT_EQ(conversation.history().size(), 4U);
}

TEST_F(SeeingConversation, WithoutItsPictureTheAnswerIsAnother) {
  const Model seeing = model("any");
  Conversation first(seeing), second(seeing);
  first.show(red);
  second.show(blue);
  EXPECT_NE(first.say("what is it?", options).log_probability, second.say("what is it?", options).log_probability);
}

TEST_F(SeeingConversation, ATextWithOtherPlacesThanPicturesIsRefusedAndChangesNothing) {
  Conversation conversation(model("any"));
  EXPECT_THAT(error_of([&] { conversation.say("what is <image>?", options); }), HasSubstr("1 times <image>"));
  EXPECT_TRUE(conversation.history().empty());
  conversation.show(red);
  EXPECT_THAT(error_of([&] { conversation.say("what is <image>?", options); }), HasSubstr("2 times <image>"));
  EXPECT_NO_THROW(conversation.say("what is it?", options));
  Conversation blind(model("llava", "{% for m in messages %}{{ m.role }}{% endfor %}"));
  blind.show(red);
  EXPECT_THAT(error_of([&] { blind.say("what is it?", options); }), HasSubstr("0 times <image>"));
}

TEST_F(SeeingConversation, ABridgeThatReadsAnInstructionReadsTheMessage) {
  const Model seeing = model("instructblip");
  const auto said = [&](const std::string& message) {
    Conversation conversation(seeing);
    conversation.show(red);
    return conversation.say(message, {.max_new_tokens = 1}).log_probability;
  };
  EXPECT_NE(said("what is it?"), said("who is it?"));
  Model lacking = seeing;
  lacking.instruction_tokenizer = nullptr;
  Conversation conversation(lacking);
  conversation.show(red);
  EXPECT_THAT(error_of([&] { conversation.say("what is it?", options); }),
              HasSubstr("add the folder qformer_tokenizer"));
}

TEST_F(SeeingConversation, AFolderWithoutAProcessorSaysSo) {
  Model seeing = model("any");
  seeing.processor = nullptr;
  Conversation conversation(seeing);
  EXPECT_THAT(error_of([&] { conversation.show(red); }), HasSubstr("holds no image processor"));
}

TEST_F(SeeingConversation, AFileThatIsNoPictureIsNotShown) {
  Conversation conversation(model("any"));
  write_file(scratch / "bad.png", "no picture");
  EXPECT_THROW(conversation.show(scratch / "bad.png"), Error);
  EXPECT_NO_THROW(conversation.say("hi", options));
  EXPECT_EQ(conversation.history()[0].at("content"), "hi");
}

}  // namespace
}  // namespace tessera

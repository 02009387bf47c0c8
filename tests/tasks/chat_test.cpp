#include "tasks/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "layers/promises.h"
#include "support/scratch.h"
#include "text/examples.h"

namespace tessera {
namespace {

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
      conversation.say("hello", kSampled, {.on_text = [&](const std::string& piece) { streamed += piece; }});
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
  const std::string later = conversation.say("and you?", kSampled);

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

TEST(Conversation, AFolderWithoutATemplateIsRefused) {
  const testing::Scratch scratch;
  EXPECT_THROW(Conversation(chatting_model(scratch.path(), false)), Error);
}

}  // namespace
}  // namespace tessera

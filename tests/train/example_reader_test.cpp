#include "train/example_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tasks/inputs.h"
#include "tasks/prompter.h"
#include "train/packing.h"
#include "train/tune_models.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace testing;  // the models
namespace fs = std::filesystem;

class ExampleReaderTest : public ::testing::Test {
 protected:
  ExampleReader reader(const Json& config = gpt2_config(), bool with_template = true, ExampleOptions options = {}) {
    write_model(config, folder_ / "model", with_template);
    model_ = load_model(folder_ / "model");
    return {model_, options};
  }

  TuneExample example(const std::string& line, const ExampleReader& from) {
    return from.example(ChatJson::parse(line), folder_);
  }

  /// What is learned, as text; stretches between which something is not are set apart by "|".
  std::string learned(const TuneExample& example) {
    std::string text;
    std::vector<int64_t> run;
    for (size_t i = 0; i <= example.ids.size(); ++i) {
      if (i < example.ids.size() && example.learned[i]) {
        run.push_back(example.ids[i]);
      } else if (!run.empty()) {
        text += (text.empty() ? "" : "|") + model_.tokenizer->decode(run, false);
        run.clear();
      }
    }
    return text;
  }

  std::string refusal(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  Scratch scratch_;
  fs::path folder_ = scratch_.path();
  Model model_;
};

TEST_F(ExampleReaderTest, WhatTheAssistantSaysIsLearnedWithItsEndAndNothingElse) {
  const ExampleReader from = reader();
  const TuneExample two = example(R"({"messages": [{"role": "system", "content": "be the best"},
      {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello the"},
      {"role": "user", "content": "and?"}, {"role": "assistant", "content": "bye"}]})",
                                  from);
  EXPECT_EQ(learned(two), "hello the<|end|>\n|bye<|end|>\n");
  EXPECT_EQ(model_.tokenizer->decode(two.ids, false),
            "[system] be the best\n[user] hi\n[assistant] hello the<|end|>\n[user] and?\n[assistant] bye<|end|>\n");
}

TEST_F(ExampleReaderTest, OfAPromptOfMessagesNothingIsLearned) {
  const ExampleReader from = reader();
  const TuneExample made = example(
      R"({"prompt": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}, {"role": "user",
      "content": "and?"}], "completion": [{"role": "assistant", "content": "bye"}]})",
      from);
  EXPECT_EQ(learned(made), "bye<|end|>\n");
  EXPECT_THAT(refusal([&] { example(R"({"prompt": [], "completion": "bye"})", from); }), HasSubstr("both"));
}

TEST_F(ExampleReaderTest, ACompletionIsLearnedWithTheEndToken) {
  const ExampleReader from = reader(gpt2_config(), false);
  const TuneExample made = example(R"({"prompt": "2 + 2 =", "completion": " the 4"})", from);
  EXPECT_EQ(learned(made), " the 4<|end|>");
  EXPECT_EQ(learned(example(R"({"prompt": "", "completion": "the"})", from)),
            "<|end|>");  // nothing stands before "the"
  const TuneExample spelled = example(R"({"prompt": "a", "completion": "b<|end|>"})", from);
  EXPECT_EQ(learned(spelled), "b<|end|>");
  EXPECT_THAT(refusal([&] { example(R"({"messages": [{"role": "user", "content": "a"}]})", from); }),
              HasSubstr("no chat template"));
}

TEST_F(ExampleReaderTest, TheThreeFormsOfAPictureAreOne) {
  const ExampleReader from = reader(seeing_config());
  write_colour(folder_ / "red.png", {255, 0, 0});
  const std::string answer = R"({"role": "assistant", "content": "red"}]})";
  const TuneExample llava = example(
      R"({"image": "red.png", "conversations": [{"from": "human", "value": "<image>\nColour?"}, {"from": "gpt", "value": "red"}]})",
      from);
  const TuneExample path = example(
      R"({"messages": [{"role": "user", "content": [{"type": "image", "path": "red.png"}, {"type": "text", "text": "Colour?"}]}, )" +
          answer,
      from);
  const TuneExample listed = example(
      R"({"images": ["red.png"], "messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Colour?"}]}, )" +
          answer,
      from);
  EXPECT_EQ(llava.ids, path.ids);
  EXPECT_EQ(llava.ids, listed.ids);
  EXPECT_THAT(path.pictures, ElementsAre((folder_ / "red.png").string()));
  EXPECT_EQ(llava.pictures, path.pictures);
  EXPECT_EQ(learned(llava), "red<|end|>\n");
  EXPECT_EQ(std::count(llava.ids.begin(), llava.ids.end(), 401), 4);
}

/// BLIP-2 has its begin token between the picture and the words.
TEST_F(ExampleReaderTest, APromptIsTheOneThatTheModelIsAskedWith) {
  const ExampleReader from = reader(blip2_config("blip-2"), false);
  write_colour(folder_ / "red.png", {255, 0, 0});
  const std::string prompt = "<image>Question: Colour? Answer:";
  const TuneExample made =
      example(R"({"image": "red.png", "prompt": ")" + prompt + R"(", "completion": " red"})", from);
  const auto asked = Prompter(model_, "be asked").ids(prompt, (*model_.processor)(read_picture(made.pictures.at(0))));
  EXPECT_THAT(std::vector<int64_t>(asked.begin(), asked.begin() + 4), ElementsAre(401, 401, 401, 400));
  EXPECT_EQ(std::vector<int64_t>(made.ids.begin(), made.ids.begin() + static_cast<std::ptrdiff_t>(asked.size())),
            asked);
  EXPECT_EQ(learned(made), " red<|end|>");
}

TEST_F(ExampleReaderTest, WhatIsWrongIsRefusedWithFileAndLine) {
  const ExampleReader from = reader(gpt2_config(), true, {.length = 60});
  const auto line = [&](const std::string& text) {
    write_file(folder_ / "data.jsonl", turn("a", "b") + "\n" + text + "\n");
    const std::string message = refusal([&] { from.read(folder_ / "data.jsonl"); });
    EXPECT_THAT(message, HasSubstr("data.jsonl:3")) << text;
    return message;
  };
  EXPECT_THAT(line("{\"messages\": ["), HasSubstr("no JSON"));
  EXPECT_THAT(line("[1]"), HasSubstr("no JSON object"));
  EXPECT_THAT(line("{\"text\": \"a\"}"), HasSubstr("is no example"));
  EXPECT_THAT(line(R"({"messages": [{"role": "user", "content": "a"}]})"), HasSubstr("no turn of the assistant"));
  EXPECT_THAT(line(turn("a", std::string(80, 'b'))), HasSubstr("do not fit into 60"));
  EXPECT_THAT(line(R"({"prompt": "a"})"), HasSubstr("completion"));
  EXPECT_THAT(
      line(
          R"({"image": "x.png", "conversations": [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "b"}]})"),
      HasSubstr("see pictures"));
  EXPECT_THAT(
      line(R"({"image": "x.png", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})"),
      HasSubstr("has places for 0"));
  EXPECT_THAT(line(R"({"conversations": [{"from": "dog", "value": "a"}]})"), HasSubstr("'dog'"));
  write_file(folder_ / "empty.jsonl", "\n");
  EXPECT_THROW(from.read(folder_ / "empty.jsonl"), Error);
  EXPECT_THROW(from.read(folder_ / "missing.jsonl"), Error);
}

TEST_F(ExampleReaderTest, WhatIsTooLongLosesItsEndWhereThatIsAllowed) {
  const ExampleReader from = reader(gpt2_config(), true, {.length = 40, .truncate = true});
  const TuneExample made = example(turn("a", std::string(80, 'b')), from);
  EXPECT_EQ(made.ids.size(), 40U);
  EXPECT_EQ(learned(made), std::string(40 - 21, 'b'));
  EXPECT_THAT(refusal([&] { example(turn(std::string(80, 'a'), "b"), from); }), HasSubstr("nothing is left"));
}

TEST(Packing, FillsRowsWithoutOverflowAndLosesNothing) {
  const std::vector<int64_t> lengths = {3, 9, 5, 5, 2, 12, 1, 7};
  std::vector<size_t> seen;
  const auto rows = pack(lengths, 10);
  for (const auto& row : rows) {
    int64_t sum = 0;
    for (const size_t index : row) sum += lengths[index], seen.push_back(index);
    EXPECT_TRUE(sum <= 10 || row.size() == 1);
  }
  EXPECT_THAT(seen, ::testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(rows.size(), 5U);  // 12 alone; 9 + 1, 7 + 3, 5 + 5, 2
}

}  // namespace
}  // namespace tessera

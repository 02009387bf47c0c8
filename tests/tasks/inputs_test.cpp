#include "tasks/inputs.h"

#include <gmock/gmock.h>

#include <iostream>
#include <sstream>

#include "core/files.h"
#include "support/ordinary_user.h"
#include "support/scratch.h"
#include "tasks/tiny_models.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Inputs : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (scratch_ / name).string(); }
  void write(const std::string& name, const std::string& bytes = "content") const {
    write_file(scratch_ / name, bytes);
  }

  /// What arguments and list below the scratch folder stand for, as names below it.
  std::vector<std::string> expand(std::vector<std::string> arguments, std::istream* list = nullptr) const {
    for (auto& argument : arguments) argument = path(argument);
    return below(expand_inputs(arguments, list));
  }
  std::vector<std::string> below(const std::vector<PictureInput>& inputs) const {
    std::vector<std::string> names;
    for (const auto& input : inputs) names.push_back(fs::path(input.name).lexically_relative(scratch_.path()).string());
    return names;
  }
  std::string error(const std::string& argument) const {
    return error_of([&] { expand_inputs({path(argument)}); });
  }

  testing::Scratch scratch_;
};

TEST_F(Inputs, AFolderStandsForThePicturesBelowItByPath) {
  for (const char* name : {"f/b.png", "f/a.JPG", "f/c/d.webp", "f/c/a.gif", "f/z.svg"}) write(name);
  write("f/photo", testing::png_of({255, 0, 0}));
  write("f/notes.txt");
  write("f/drawing", "<svg xmlns='http://www.w3.org/2000/svg'/>");
  const std::vector<std::string> all = {"f/a.JPG", "f/b.png", "f/c/a.gif", "f/c/d.webp", "f/photo", "f/z.svg"};
  EXPECT_EQ(expand({"f"}), all);
  EXPECT_EQ(expand({"f/"}), all);
}

TEST_F(Inputs, HiddenNamesAreLeftOutOfFoldersButReadWhereTheyAreNamed) {
  for (const char* name : {"f/a.png", "f/.hidden.png", "f/.git/b.png"}) write(name);
  EXPECT_THAT(expand({"f"}), ElementsAre("f/a.png"));
  EXPECT_THAT(expand({"f/*"}), ElementsAre("f/a.png"));
  EXPECT_THAT(expand({"f/.hidden.png", "f/.git"}), ElementsAre("f/.hidden.png", "f/.git/b.png"));
}

TEST_F(Inputs, ALinkThatLeadsNowhereIsNoPicture) {
  write("f/a.png");
  fs::create_symlink("gone.png", scratch_ / "f/link.png");
  EXPECT_THAT(expand({"f"}), ElementsAre("f/a.png"));
}

TEST_F(Inputs, APatternStandsForWhatItMatchesByPath) {
  for (const char* name : {"b2.png", "a1.png", "a2.jpg", "c/in.png"}) write(name);
  EXPECT_THAT(expand({"*.png"}), ElementsAre("a1.png", "b2.png"));
  EXPECT_THAT(expand({"?2.*"}), ElementsAre("a2.jpg", "b2.png"));
  EXPECT_THAT(expand({"[bc]*"}), ElementsAre("b2.png", "c/in.png"));
  EXPECT_THAT(error("*.gif"), HasSubstr("*.gif: matches no file"));
}

TEST_F(Inputs, AFileThatIsNamedLikeAPatternIsItself) {
  for (const char* name : {"a*.png", "ab.png"}) write(name);
  EXPECT_THAT(expand({"a*.png"}), ElementsAre("a*.png"));
}

TEST_F(Inputs, AListFollowsTheArgumentsAndHoldsNoPatterns) {
  for (const char* name : {"a.png", "b.png", "c*.png", "cd.png"}) write(name);
  std::istringstream list("\n" + path("a.png") + "\r\n\n" + path("c*.png"));
  EXPECT_THAT(expand({"b.png"}, &list), ElementsAre("b.png", "a.png", "c*.png"));
  std::istringstream pattern(path("*.png") + "\n");
  EXPECT_THAT(error_of([&] { expand_inputs({}, &pattern); }), HasSubstr("*.png: does not exist"));
  std::istringstream empty("\n\r\n");
  EXPECT_THAT(error_of([&] { expand_inputs({}, &empty); }), HasSubstr("no picture is given"));
}

TEST_F(Inputs, ADashIsStandardInputOnce) {
  write("a.png");
  const auto inputs = expand_inputs({path("a.png"), "-"});
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_FALSE(inputs[0].standard_input);
  EXPECT_TRUE(inputs[1].standard_input);
  EXPECT_THAT(error_of([] { expand_inputs({"-", "-"}); }), HasSubstr("standard input can be read only once"));
  const std::string bytes("GIF\0\xff", 5);
  std::istringstream standard_input(bytes);
  std::streambuf* before = std::cin.rdbuf(standard_input.rdbuf());
  EXPECT_EQ(read_input(inputs[1]), bytes);
  std::cin.rdbuf(before);
  EXPECT_EQ(read_input(inputs[0]), "content");
}

TEST_F(Inputs, WhatIsMissingIsNamed) {
  write("text/notes.txt");
  EXPECT_THAT(error("gone.png"), HasSubstr("gone.png: does not exist"));
  EXPECT_THAT(error("text"), HasSubstr("text: holds no pictures"));
  EXPECT_THAT(error_of([] { expand_inputs({""}); }), HasSubstr("an empty name"));
  EXPECT_THAT(error_of([] { expand_inputs({}); }), HasSubstr("no picture is given"));
  EXPECT_THAT(error_of([&] { read_input({path("gone.png")}); }), HasSubstr("gone.png: cannot be opened"));
}

TEST_F(Inputs, WhatCannotBeReadIsNamed) {
  fs::create_symlink("loop.png", scratch_ / "loop.png");
  EXPECT_THAT(error("loop.png"), HasSubstr("loop.png: cannot be read"));
  const std::string endless(300, 'x');
  EXPECT_THAT(error(endless), HasSubstr(endless + ": cannot be read"));
  EXPECT_THAT(error(endless + "*"), HasSubstr(endless + "*: matches no file"));
}

TEST_F(Inputs, AFolderThatMayNotBeReadIsNamed) {
  write("f/a.png");
  write("f/locked/b.png");
  fs::permissions(scratch_.path(), testing::kReadable);
  fs::permissions(scratch_ / "f/a.png", fs::perms::none);
  fs::permissions(scratch_ / "f/locked", fs::perms::none);
  {
    const testing::OrdinaryUser user;
    if (user.modes_count()) {
      EXPECT_THAT(error("f"), HasSubstr("f/locked: cannot be read"));
      EXPECT_THAT(error("f/locked/b.png"), HasSubstr("f/locked/b.png: cannot be read"));
      EXPECT_THAT(error("f/locked/*"), HasSubstr("f/locked/*: matches no file"));
      EXPECT_THAT(error_of([&] { read_input({path("f/a.png")}); }), HasSubstr("f/a.png: cannot be opened"));
    }
  }
  fs::permissions(scratch_ / "f/locked", fs::perms::owner_all);
}

TEST(DefaultModel, IsTheOneThatTheEnvironmentNames) {
  const testing::Scratch scratch;
  ::setenv("TESSERA_MODEL", scratch.path().c_str(), 1);
  EXPECT_EQ(default_model_folder(), scratch.path());
  ::setenv("TESSERA_MODEL", (scratch / "gone").c_str(), 1);
  EXPECT_THAT(error_of([] { default_model_folder(); }), AllOf(HasSubstr("gone: TESSERA_MODEL"), HasSubstr("--model")));
  ::unsetenv("TESSERA_MODEL");
}

TEST(Fingerprint, TellsModelsApartByWeightsConfigAndProcessor) {
  const testing::Scratch scratch;
  const Model model = testing::colour_model(scratch / "model");
  const std::string before = model_fingerprint(model);
  EXPECT_EQ(model_fingerprint(load_model(scratch / "model")), before);

  fs::copy(scratch / "model", scratch / "copy");
  EXPECT_EQ(model_fingerprint(load_model(scratch / "copy")), before) << "the place does not matter";

  Json processor = read_json(scratch / "copy/preprocessor_config.json");
  processor["image_mean"] = {0.1, 0, 0};
  write_file(scratch / "copy/preprocessor_config.json", processor.dump());
  EXPECT_NE(model_fingerprint(load_model(scratch / "copy")), before);

  auto words = testing::colour_words();
  words["red"][1] = 0.001F;
  EXPECT_NE(model_fingerprint(testing::colour_model(scratch / "other", words)), before);

  Model warmer = load_model(scratch / "model");
  warmer.config["dual_encoder"]["logit_scale"] = 1;
  EXPECT_NE(model_fingerprint(warmer), before);
}

TEST(Hash, EveryByteAndTheLengthCount) {
  const std::string text = "seventeen letters";
  const auto hash = [](const std::string& bytes) { return hash_bytes(bytes.data(), bytes.size()); };
  std::set<uint64_t> all = {hash(text), hash(text + '\0'), hash(text.substr(1)), hash("")};
  for (size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] ^= '\x80';
    all.insert(hash(other));
  }
  EXPECT_EQ(all.size(), 4 + text.size());
  EXPECT_EQ(hash(text), hash(std::string(text)));
}

TEST(JsonLine, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(json_line({{"input", "a\xff\n"}}), "{\"input\":\"a\xEF\xBF\xBD\\n\"}");
}

}  // namespace
}  // namespace tessera

#include "train/talk_learner.h"

#include <gmock/gmock.h>

#include <set>

#include "core/error.h"
#include "core/files.h"
#include "data/archive.h"
#include "layers/weights.h"
#include "support/training.h"
#include "tasks/embed.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWords[] = {
    "[PAD]", "[UNK]", "[CLS]",  "[SEP]", "[MASK]",  "<s>", "</s>",   "red",   "blue",  "disc", "what", "is",
    "this",  "it",    "a",      "in",    "english", "?",   "colour", "color", "which", "main", "its",  "yes",
    "no",    "how",   "many",   "are",   "there",   "do",  "you",    "see",   "of",    "them", "the",  "picture",
    "does",  "show",  "called", "name",  ".",       "one", "two",    "three", "four",  ":",    "or",   "these"};

/// A dual encoder that knows nothing, and pictures of a red and a blue disc.
class TalkLearnerTest : public testing::TrainingTest {
 protected:
  void SetUp() override {
    write_shard();
    write_base();
  }

  void write_shard() {
    std::vector<TarMember> members;
    for (int i = 0; i < 8; ++i) {
      const bool red = i % 2 == 0;
      Image image(16, 16, 4);
      for (int64_t y = 2; y < 14; ++y)
        for (int64_t x = i; x < 14; ++x) image.at(y, x, red ? 0 : 2) = image.at(y, x, 3) = 255;
      const std::vector<uint8_t> png = encode_png(image);
      const std::string colour = red ? "red" : "blue", key = colour + std::to_string(i);
      members.push_back({key + ".png", std::string(png.begin(), png.end())});
      const Json json = {
          {"id", colour}, {"captions", {{"en", colour + " disc"}, {"de", colour + "e Scheibe"}}}, {"split", "train"}};
      members.push_back({key + ".json", json.dump()});
    }
    write_file(folder_ / "train.tar", make_tar(members));
  }

  void write_base() {
    std::string vocabulary;
    for (const char* word : kWords) vocabulary += std::string(word) + "\n";
    write_file(folder_ / "words" / "vocab.txt", vocabulary);
    write_file(folder_ / "words" / "tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": "</s>"})");
    const Json dual = {{"image",
                        {{"kind", "hybrid-vit"},
                         {"image", {16, 16}},
                         {"stem", 4},
                         {"widths", {8, 8}},
                         {"blocks", {0, 1}},
                         {"depth", 0},
                         {"final_norm", false}}},
                       {"image_pool", {{"kind", "mean"}}},
                       {"text",
                        {{"kind", "text-transformer"},
                         {"context", 8},
                         {"dim", 8},
                         {"depth", 1},
                         {"heads", 2},
                         {"ffn", 16},
                         {"causal", false},
                         {"vocabulary", std::size(kWords)}}},
                       {"text_pool", "mean"},
                       {"dim", 8}};
    torch::manual_seed(3);
    Model base = make_model({{"model_type", "tessera-dual-encoder"}, {"dual_encoder", dual}}, "test");
    base.tokenizer = std::make_shared<Tokenizer>(load_tokenizer(folder_ / "words"));
    base.processor = training_processor({.size = 16});
    save_model(base, folder_ / "base", torch::kBFloat16);
  }

  Json recipe_json() const {
    const std::vector<std::string> shards = {(folder_ / "train.tar").string()};
    return {{"base", (folder_ / "base").string()},
            {"model",
             {{"cells", {4, 4}},
              {"patch", 4},
              {"patch", 4},
              {"bridge", {{"kind", "mlp"}, {"dim", 48}, {"width", 16}}},
              {"language",
               {{"kind", "decoder"},
                {"dim", 16},
                {"depth", 1},
                {"heads", 2},
                {"ffn", 32},
                {"context", 64},
                {"positions", "rotary"},
                {"dropout", 0.1}}}}},
            {"data", {{"sources", {{{"shards", shards}}}}, {"size", 16}}},
            {"questions",
             {{"several", 0.2}, {"detail_dropout", 0.3}, {"names", 0.5}, {"colour", 0.4}, {"kinds", {{"name", 1}}}}},
            {"augment", {{"any_hue", 0}, {"hue", 0}, {"grayscale", 0}, {"invert", 0}, {"cutout", 0}}},
            {"optimizer", {{"learning_rate", 1e-2}}},
            {"schedule", {{"warmup", 3}}},
            {"evaluation", {{"every", 1000}, {"shards", shards}}},
            {"steps", 12},
            {"batch", 8},
            {"precision", "float32"},
            {"ema", 0.5},
            {"checkpoint_every", 5},
            {"threads", 1}};
  }
};

TEST_F(TalkLearnerTest, LearnsToAnswerWhatThePixelsShow) {
  Json json = recipe_json();
  json["steps"] = 300;
  json["ema"] = 0.9;
  const RunResult result = run(json, "run");
  EXPECT_GT(result.scores.at("colour").at("exact"), 0.9);
  EXPECT_GT(result.scores.at("name en").at("exact"), 0.9);
}

TEST_F(TalkLearnerTest, AResumedRunIsTheUninterruptedOne) { expect_resumed_is_uninterrupted(recipe_json(), {7}); }

TEST_F(TalkLearnerTest, TheDualEncoderKeepsEveryByte) {
  run(recipe_json(), "run");
  const Checkpoint base = Checkpoint::open(folder_ / "base"), talker = Checkpoint::open(folder_ / "run" / "model");
  for (const auto& [name, info] : base.tensors()) {
    const std::string kept = "encoder.dual." + name;
    EXPECT_EQ(talker.tensors().at(kept).dtype, info.dtype) << kept;
    EXPECT_TRUE(base.tensor(name).equal(talker.tensor(kept))) << kept;
  }
  const Model frozen = load_model(folder_ / "base"), whole = load_model(folder_ / "run" / "model");
  EXPECT_EQ(trained_parameters(folder_ / "run" / "model"),
            parameters_of(*whole.module) - parameters_of(*frozen.module));
}

TEST_F(TalkLearnerTest, WhatTalksStillClassifies) {
  run(recipe_json(), "run");
  const Model base = load_model(folder_ / "base"), talker = load_model(folder_ / "run" / "model");
  const Tensor pixels = torch::rand({2, 3, 16, 16});
  const torch::NoGradGuard no_gradient;
  EXPECT_TRUE(
      base.as<DualEncoder>("see").encode_image(pixels).equal(talker.as<DualEncoder>("see").encode_image(pixels)));
}

TEST_F(TalkLearnerTest, AnAnswerOfABatchIsTheOneAlone) {
  run(recipe_json(), "run");
  const Model model = load_model(folder_ / "run" / "model");
  Answerer answerer(model.as<Talker>("talk"), *model.tokenizer);
  const Tensor pixels = torch::rand({2, 3, 16, 16});
  const std::vector<std::string> questions = {"what is this in english?", "colour?"};
  const auto both = answerer.answer(pixels, questions);
  for (int64_t i = 0; i < 2; ++i) {
    const auto one = answerer.answer(pixels.narrow(0, i, 1), {questions[static_cast<size_t>(i)]});
    EXPECT_EQ(one[0].text, both[static_cast<size_t>(i)].text);
    EXPECT_NEAR(one[0].log_probability, both[static_cast<size_t>(i)].log_probability, 1e-4);
  }
}

TEST_F(TalkLearnerTest, EvaluationSetsTheModelBesideTheCommonestAnswerAndRetrieval) {
  run(recipe_json(), "run");
  fs::copy_file(folder_ / "train.tar", folder_ / "other-00000.tar");
  write_file(folder_ / "names.jsonl", R"({"id": "red", "names": {"en": "red disc"}}
{"id": "blue", "names": {"en": "blue disc"}}
)");
  const auto rows =
      evaluate_talk(load_model(folder_ / "run" / "model"), {.data = folder_, .style = "other", .languages = {"en"}});
  std::map<std::string, std::map<std::string, double>> exact;  // method -> kind -> share
  for (const auto& row : rows) {
    // Without groups there is no other symbol to ask about, and "is it" is only asked where the answer is yes.
    EXPECT_EQ(row.questions, row.kind == "is-it" ? 4 : 8) << row.kind;
    EXPECT_GE(row.accepted, row.exact);
    exact[row.method][row.kind] = row.exact;
  }
  for (const char* method : {"majority", "retrieval", "model"})
    EXPECT_THAT(exact[method], ::testing::UnorderedElementsAre(::testing::Key("name"), ::testing::Key("colour"),
                                                               ::testing::Key("how-many"), ::testing::Key("is-it")))
        << method;
  EXPECT_EQ(exact["majority"]["name"], 0.5);  // half of the discs are red
  EXPECT_EQ(exact["majority"]["colour"], 0.5);
  EXPECT_EQ(exact["majority"]["is-it"], 1);
  EXPECT_GE(exact["majority"]["how-many"], exact["retrieval"]["how-many"]);  // which always says "one"
}

/// The recipe beside the model may be that of its dual encoder, which knows more languages.
TEST_F(TalkLearnerTest, NamesAreAskedForInTheLanguagesOfTheTalker) {
  run(recipe_json(), "run");
  fs::copy_file(folder_ / "train.tar", folder_ / "other-00000.tar");
  write_file(folder_ / "names.jsonl", "");
  const fs::path folder = folder_ / "run" / "model";
  write_file(folder / "recipe.json", R"({"captions": {"languages": {"en": 1, "de": 1}}})");
  const auto asked = [&] {
    std::set<std::string> languages;
    for (const auto& row : evaluate_talk(load_model(folder), {.data = folder_, .style = "other"}))
      if (row.kind == "name") languages.insert(row.language);
    return languages;
  };
  EXPECT_THAT(asked(), ::testing::ElementsAre("en"));
  Json config = Json::parse(read_file(folder / "config.json"));
  config["talker"]["languages"] = Json::array();  // of a talker that does not know
  write_file(folder / "config.json", config.dump());
  EXPECT_THAT(asked(), ::testing::ElementsAre("de", "en"));
}

TEST_F(TalkLearnerTest, WhatAQuestionNamesIsComparedWithThePicture) {
  run(recipe_json(), "run");
  const torch::NoGradGuard no_gradient;
  const Model model = load_model(folder_ / "run" / "model");
  auto& talker = model.as<Talker>("talk");
  const TalkerFormat format = format_of(talker, *model.tokenizer);
  const auto pictures = talker.picture_tokens(torch::rand({2, 3, 16, 16}));
  const int64_t padding = 3, places = talker.picture_length();
  // What join() adds to the tokens of "is it red ?" and to the one that begins the answer.
  const auto added = [&](int64_t picture, bool padded_left) {
    auto ids = format.prompt(model.tokenizer->encode("is it red ?", false).ids, true);
    const auto size = static_cast<int64_t>(ids.size()), before = padded_left ? padding : 0;
    ids.insert(padded_left ? ids.begin() : ids.end(), padding, format.end);
    TextBatch text{torch::tensor(ids).unsqueeze(0), torch::zeros({1, size + padding}, torch::kBool), {}};
    text.mask.narrow(1, before, size).fill_(true);
    const Tensor plain = talker.embed(text.ids.masked_fill(text.ids.eq(format.placeholder), 0));
    const Tensor change = talker.join({pictures[picture]}, text).x - plain;
    return change[0].narrow(0, before + places, size - places).abs().amax(1);
  };
  const Tensor first = added(0, false), second = added(1, false);
  ASSERT_EQ(first.size(0), 5);
  EXPECT_GT(first[2].item<float>(), 0);                        // "red"
  EXPECT_NE(first[2].item<float>(), second[2].item<float>());  // nearer to one of the pictures
  for (const int64_t asking : {0, 1, 3, 4}) EXPECT_EQ(first[asking].item<float>(), 0) << asking;
  EXPECT_TRUE(first.allclose(added(0, true), 1e-5, 1e-6));
}

TEST_F(TalkLearnerTest, TheColoursOfAPictureAreWhereverTheyAre) {
  run(recipe_json(), "run");
  const torch::NoGradGuard no_gradient;
  const Model model = load_model(folder_ / "run" / "model");
  auto& talker = model.as<Talker>("talk");
  const Tensor pixels = torch::rand({1, 3, 16, 16}) * 2 - 1;
  const Tensor turned = pixels.rot90(1, {2, 3}), darker = pixels * 0.5 - 0.5;
  const auto colours = [&](const Tensor& of) { return talker.picture_tokens(of)[0][1]; };
  EXPECT_TRUE(colours(pixels).allclose(colours(turned), 1e-4, 1e-5));
  EXPECT_FALSE(colours(pixels).allclose(colours(darker), 1e-4, 1e-5));
}

TEST_F(TalkLearnerTest, CaptionsComeInTheLanguagesOfTheTraining) {
  run(recipe_json(), "run");
  const auto answerer = picture_answerer(load_model(folder_ / "run" / "model"));
  ImageBatch pictures;
  pictures.pixel_values = torch::rand({2, 3, 16, 16});
  EXPECT_EQ(answerer->answer(pictures, {.caption = "en"}).size(), 2);
  try {
    answerer->answer(pictures, {.caption = "de"});
    FAIL() << "German was never trained";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("choose among en"));
  }
}

TEST_F(TalkLearnerTest, VectorsAreDisturbedInTrainingAlone) {
  Json json = recipe_json();
  json["model"]["noise"] = 1;
  run(json, "run");
  const torch::NoGradGuard no_gradient;
  const Model model = load_model(folder_ / "run" / "model");
  auto& talker = model.as<Talker>("talk");
  const Tensor pixels = torch::rand({1, 3, 16, 16});
  const Tensor first = talker.picture_tokens(pixels);
  EXPECT_TRUE(first.equal(talker.picture_tokens(pixels)));
  talker.train();
  const Tensor disturbed = talker.picture_tokens(pixels)[0];
  EXPECT_FALSE(disturbed[0].allclose(first[0][0], 1e-3, 1e-4));
  EXPECT_TRUE(disturbed.narrow(0, 1, talker.picture_length() - 1)
                  .allclose(first[0].narrow(0, 1, talker.picture_length() - 1), 1e-5, 1e-6));
}

TEST_F(TalkLearnerTest, APictureIsToldByTheNamesThatItResembles) {
  run(recipe_json(), "run");
  const torch::NoGradGuard no_gradient;
  const Model model = load_model(folder_ / "run" / "model");
  auto& talker = model.as<Talker>("talk");
  const std::vector<std::string> names = {"blue disc", "red disc"};
  const Tensor vectors = TextEmbedder(model).embed(names);
  EXPECT_EQ(named_tensors(talker).at("memory").sizes(), torch::IntArrayRef({2, 8}));
  // A name far nearer than the others is what is told, whatever the picture's own vector adds to it.
  talker.dual().logit_scale.fill_(12);
  const Tensor told = talker.vector_tokens(vectors).select(1, 0);
  const Tensor near = talker.vector_tokens(unit(vectors) + 0.05 * torch::randn_like(vectors)).select(1, 0);
  EXPECT_TRUE(told.allclose(near, 1e-4, 1e-5));
  EXPECT_FALSE(told[0].allclose(told[1], 1e-3, 1e-4));
}

TEST_F(TalkLearnerTest, WithoutAMemoryAPictureIsToldByItsVector) {
  Json json = recipe_json();
  json["model"]["memory"] = 0;
  run(json, "run");
  const torch::NoGradGuard no_gradient;
  const Model model = load_model(folder_ / "run" / "model");
  auto& talker = model.as<Talker>("talk");
  EXPECT_FALSE(named_tensors(talker).contains("memory"));
  const Tensor vectors = torch::randn({2, 8});
  const Tensor told = talker.vector_tokens(vectors).select(1, 0);
  const Tensor other = talker.vector_tokens(vectors + torch::randn_like(vectors)).select(1, 0);
  EXPECT_FALSE(told.allclose(other, 1e-3, 1e-4));
}

TEST_F(TalkLearnerTest, QuestionsBeyondTheContextAndUnknownKindsAreRefused) {
  run(recipe_json(), "run");
  const Model model = load_model(folder_ / "run" / "model");
  Answerer answerer(model.as<Talker>("talk"), *model.tokenizer);
  std::string words;
  for (int i = 0; i < 60; ++i) words += "is ";
  EXPECT_THROW(answerer.answer(torch::rand({1, 3, 16, 16}), {words}), Error);
  Json json = recipe_json();
  json["questions"]["kinds"] = {{"naem", 1}};
  EXPECT_THROW(read_recipe(json, ""), Error);
  json = recipe_json();
  json["questions"]["several"] = 0.7;  // and 0.4 for the colour
  EXPECT_THROW(read_recipe(json, ""), Error);
}

}  // namespace
}  // namespace tessera

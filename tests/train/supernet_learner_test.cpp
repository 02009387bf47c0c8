#include "train/supernet_learner.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "tasks/classify.h"
#include "tasks/evaluate_classes.h"
#include "tasks/inspect.h"
#include "train/architecture_search.h"
#include "train/coloured_shapes.h"

namespace tessera {
namespace {

using testing::error_of;

/// A super-network that learns the coloured shapes by their names; twelve steps are eight epochs.
class SupernetTest : public testing::ColouredShapes {
 protected:
  Json search_json() const {
    Json json = recipe_json();
    for (const char* key : {"tokenizer", "captions", "ema"}) json.erase(key);
    json["classify"] = "name";
    json["model"] = {{"encoder",
                      {{"kind", "vit-resnas-supernet"},
                       {"image", {28, 28}},
                       {"network_def",
                        {{0, 16},
                         {1, {16, 2, 8}, {16, 32}, 1},
                         {1, {16, 2, 8}, {16, 32}, 1},
                         {3, 16, 24},
                         {1, {24, 3, 8}, {24, 32}, 1}}},
                       {"num_channels_to_keep",
                        {{16, 12},
                         {{"attn", {16, 8}}, {"mlp", {32, 24, 16}}},
                         {{"mlp", {32, 16}}, {"layer", {16, 0}}},
                         {24, 20},
                         {{"attn", {24, 16, 8}}, {"mlp", {32, 16}}}}},
                       {"example_per_arch", 4},
                       {"num_warmup_epochs", 3}}}};
    json["search"] = {{"macs", 80000}, {"window", 0.6},  {"population", 8}, {"iterations", 2},
                      {"parents", 3},  {"mutations", 3}, {"crossovers", 3}};
    json["data"]["size"] = 28;
    json["steps"] = 12;
    return json;
  }

  struct Trained {
    Recipe recipe;
    std::unique_ptr<Trainer> trainer;
    ImageClassifier& model() { return dynamic_cast<ImageClassifier&>(trainer->learner().module()); }
    SearchResult search(const std::filesystem::path& log, std::function<bool(int64_t)> stop = {}) {
      return search_architecture(model(), recipe, *recipe.search, {log, std::move(stop)});
    }
  };
  Trained trained() {
    Trained made{read_recipe(search_json(), ""), nullptr};
    made.trainer = std::make_unique<Trainer>(made.recipe, RunControl{.folder = folder_ / "run"});
    EXPECT_TRUE(made.trainer->run().finished);
    return made;
  }
};

TEST_F(SupernetTest, AResumedTrainingIsTheUninterruptedOne) {
  expect_resumed_is_uninterrupted(search_json(), {4});  // while the warm-up goes on
}

TEST_F(SupernetTest, AResumedSearchIsTheUninterruptedOne) {
  Trained made = trained();
  const SearchResult whole = made.search(folder_ / "whole.jsonl");
  EXPECT_TRUE(whole.finished);
  EXPECT_FALSE(made.search(folder_ / "parts.jsonl", [](int64_t rated) { return rated == 10; }).finished);
  // A run that was killed while it wrote has left half a line.
  write_file(folder_ / "parts.jsonl", read_file(folder_ / "parts.jsonl") + "{\"macs\":12");
  int64_t first = 0;
  EXPECT_TRUE(made.search(folder_ / "parts.jsonl",
                          [&](int64_t rated) {
                            if (first == 0) first = rated;
                            return false;
                          })
                  .finished);
  EXPECT_EQ(first, 11) << "what the log holds is not rated again";
  EXPECT_EQ(read_file(folder_ / "parts.jsonl"), read_file(folder_ / "whole.jsonl"));
}

TEST_F(SupernetTest, TheWinnerIsAFolderThatComputesWhatWasRated) {
  Trained made = trained();
  const SearchResult found = made.search(folder_ / "search.jsonl");
  const RatedNetwork& best = found.best.front();
  save_sub_network(made.model(), supernet_of(made.model()).space().network(best.widths), made.recipe,
                   folder_ / "winner");
  const Model model = load_model(folder_ / "winner");
  EXPECT_EQ(model.family, "vit-resnas");
  const PictureClassifier classifier(model, {});
  EXPECT_THAT(classifier.labels(), ::testing::ElementsAre("blue bar", "blue square", "red bar", "red square"));
  const ClassEvaluation again =
      evaluate_classes(model, {.data = {(folder_ / "test.tar").string()}, .by = "name", .limit = 0});
  EXPECT_DOUBLE_EQ(again.model.top1, best.score);
  // What the budget counts is what is really computed; `inspect` measures the encoder, without the head.
  const Tensor picture = torch::zeros({1, 3, 28, 28});
  auto& winner = model.as<ImageClassifier>("classify");
  EXPECT_EQ(count_flops([&] { winner.forward(picture); }), 2 * best.macs);
  EXPECT_EQ(inspect(model).picture->flops, 2 * (best.macs - 4 * winner.encoder().width()));
  const Recipe alone = read_recipe(read_json(folder_ / "winner" / "recipe.json"), "");
  EXPECT_FALSE(alone.search);
  EXPECT_EQ(alone.model.at("encoder").at("network_def"), model.config.at("network_def"));
}

TEST_F(SupernetTest, TheLogOfAnotherSearchIsRefused) {
  Trained made = trained();
  made.search(folder_ / "search.jsonl");
  made.recipe.seed = 5;
  EXPECT_THAT(error_of([&] { made.search(folder_ / "search.jsonl"); }), ::testing::HasSubstr("another search"));
}

TEST_F(SupernetTest, ANetworkThatWasFoundServesAsEncoderOfADualEncoder) {
  Json json = recipe_json();
  json["model"]["image"] = {{"kind", "vit-resnas"},
                            {"image", {28, 28}},
                            {"network_def", {{0, 16}, {1, {16, 2, 8}, {16, 32}, 1}, {3, 16, 24}}}};
  json["data"]["size"] = 28;
  json["steps"] = 3;
  EXPECT_TRUE(run(json, "pairs").finished);
}

TEST_F(SupernetTest, WhatCannotBeSearchedIsAnErrorThatNamesTheKey) {
  const auto message = [this](const std::function<void(Json&)>& change) {
    Json json = search_json();
    change(json);
    return error_of([&] { run(json, "refused"); });
  };
  EXPECT_THAT(message([](Json& json) { json["ema"] = 0.9; }), ::testing::HasSubstr("ema"));
  EXPECT_THAT(message([](Json& json) { json.erase("classify"); }), ::testing::HasSubstr("classify"));
  EXPECT_THAT(message([](Json& json) { json["evaluation"].erase("shards"); }),
              ::testing::HasSubstr("evaluation.shards"));
  EXPECT_THAT(message([](Json& json) { json["search"]["macs"] = 0; }), ::testing::HasSubstr("search.macs"));
  EXPECT_THAT(message([this](Json& json) { json["model"]["encoder"] = recipe_json()["model"]["image"]; }),
              ::testing::HasSubstr("no super-network"));
}

}  // namespace
}  // namespace tessera

#include "train/tune_learner.h"

#include <gmock/gmock.h>

#include "support/training.h"
#include "tasks/adapt.h"
#include "tasks/perplexity.h"
#include "train/adapter_recipe.h"
#include "train/tune_models.h"

namespace tessera {
namespace {

using namespace testing;  // the models
using ::testing::HasSubstr;
namespace fs = std::filesystem;

const std::vector<std::string> kMethods = {"lora", "dora", "rslora", "ia3", "bottleneck", "prefix", "prompt"};

class TuneLearnerTest : public TrainingTest {
 protected:
  TuneLearnerTest() : TrainingTest("adapter") {}

  void SetUp() override {
    write_model(gpt2_config(), folder_ / "gpt2");
    write_model(llama_config(), folder_ / "llama");
    write_file(folder_ / "talk.jsonl", conversations());
  }

  Json recipe(const std::string& base, const std::string& method) const {
    return tune_recipe(folder_ / base, folder_ / "talk.jsonl", method);
  }

  /// What one step over all examples finds: its loss and the gradients, by name.
  std::pair<double, std::map<std::string, Tensor>> one_step(Json json) {
    json["batch"] = 1;
    Recipe counted = read_recipe(json, "");
    counted.batch = TuneLearner(counted).summary().at("rows").get<int64_t>();
    TuneLearner learner(counted);
    {
      const torch::NoGradGuard no_gradient;  // where B is zero, A has no gradient to compare
      at::manual_seed(8);
      for (auto& [name, tensor] : learner.weights()) Tensor(tensor).add_(torch::randn_like(tensor) * 0.1);
    }
    learner.begin(0);
    const double loss = learner.step(0);
    std::map<std::string, Tensor> found;
    for (auto& [name, tensor] : learner.weights()) found[name] = tensor.grad();
    return {loss, found};
  }

  void expect_same_step(const Json& a, const Json& b) {
    const auto [loss_a, gradients_a] = one_step(a);
    const auto [loss_b, gradients_b] = one_step(b);
    EXPECT_NEAR(loss_a, loss_b, 1e-5 * loss_a);
    ASSERT_EQ(gradients_a.size(), gradients_b.size());
    for (const auto& [name, gradient] : gradients_a) {
      ASSERT_TRUE(gradient.defined()) << name;
      EXPECT_GT(gradient.abs().max().item<double>(), 0) << name;
      EXPECT_LT(distance(gradient, gradients_b.at(name)), 1e-4 * (1e-3 + gradient.abs().max().item<double>())) << name;
    }
  }

  static int64_t count_of(const NamedTensors& tensors) {
    int64_t count = 0;
    for (const auto& [name, tensor] : tensors) count += tensor.numel();
    return count;
  }

  Tensor logits(const Model& model) const {
    const torch::NoGradGuard no_gradient;
    const Tensor ids = torch::tensor({{40, 41, 42, 43, 44, 45}}, torch::kInt64);
    return model.as<LanguageModel>("be compared").forward({ids, {}, {}});
  }
};

TEST_F(TuneLearnerTest, TheLossFallsWithEveryMethod) {
  for (const std::string base : {"gpt2", "llama"})
    for (const std::string& method : kMethods) {
      Json json = recipe(base, method);
      json["steps"] = 100;
      json["optimizer"]["learning_rate"] = 5e-2;
      Trainer trainer(read_recipe(json, ""), {.folder = folder_ / (base + method)});
      const double before = dynamic_cast<TuneLearner&>(trainer.learner()).evaluate_base().at("validation").at("loss");
      const double after = trainer.run().scores.at("validation").at("loss");
      EXPECT_LT(after, 0.97 * before) << base << " " << method;
    }
}

TEST_F(TuneLearnerTest, TheFrozenModelKeepsEveryByte) {
  for (const std::string& method : kMethods) {
    const Model before = load_model(folder_ / "llama");
    Trainer trainer(read_recipe(recipe("llama", method), ""), {.folder = folder_ / method});
    trainer.run();
    const auto own = named_tensors(*before.module), tuned = named_tensors(trainer.learner().module());
    for (const auto& [path, tensor] : own) EXPECT_TRUE(tensor.equal(tuned.at(path))) << method << " " << path;
  }
}

TEST_F(TuneLearnerTest, AResumedRunIsTheUninterruptedOne) {
  for (const std::string method : {"lora", "prompt"}) {
    Json json = recipe("gpt2", method);
    json["tune"]["dropout"] = 0.2;
    json["accumulate"] = 2;
    expect_resumed_is_uninterrupted(json, {7}, method + "-");
    const Checkpoint whole = state(method + "-whole");
    for (const auto& [name, info] : whole.tensors())
      EXPECT_THAT(name, ::testing::AnyOf(::testing::StartsWith("adapter."), ::testing::StartsWith("optimizer.")));
  }
}

TEST_F(TuneLearnerTest, ASavedAdapterOnAFreshModelAnswersAsTheTunedOne) {
  for (const std::string& method : kMethods) {
    Json json = recipe("llama", method);
    Trainer trainer(read_recipe(json, ""), {.folder = folder_ / method});
    const RunResult result = trainer.run();
    trainer.save_model_folder(folder_ / method / "adapter");
    Model fresh = load_model(folder_ / "llama");
    const Tensor plain = logits(fresh);
    adapt(fresh, folder_ / method / "adapter");
    EXPECT_EQ(trained_parameters(folder_ / method / "adapter"), count_of(trainer.learner().weights())) << method;
    const Tensor adapted = logits(fresh);
    EXPECT_GT(distance(plain, adapted), 1e-3) << method;
    if (method == "prefix" || method == "prompt") continue;  // where module() is the model without what it reads first
    const torch::NoGradGuard no_gradient;
    const Tensor ids = torch::tensor({{40, 41, 42, 43, 44, 45}}, torch::kInt64);
    auto& tuned = dynamic_cast<LanguageModel&>(trainer.learner().module());
    EXPECT_EQ(distance(tuned.forward({ids, {}, {}}), adapted), 0) << method;
  }
}

TEST_F(TuneLearnerTest, VirtualTokensAreReadOnceHoweverTheTextComes) {
  for (const std::string method : {"prefix", "prompt"}) {
    run(recipe("llama", method), method);
    Model model = load_model(folder_ / "llama");
    adapt(model, folder_ / method / "adapter");
    auto& language = model.as<LanguageModel>("be compared");
    const torch::NoGradGuard no_gradient;
    const Tensor ids = torch::tensor({{40, 41, 42, 43, 44, 45}}, torch::kInt64), whole = logits(model);
    LanguageState state = language.start();
    const Tensor first = language.forward({ids.narrow(1, 0, 4), {}, {}}, &state);
    const Tensor rest = language.forward({ids.narrow(1, 4, 2), {}, {}}, &state);
    EXPECT_LT(distance(torch::cat({first, rest}, 1), whole), 1e-4) << method;
  }
}

TEST_F(TuneLearnerTest, MergingEqualsNotMerging) {
  for (const std::string method : {"lora", "dora", "rslora", "ia3"})
    for (const std::string base : {"gpt2", "llama"}) {
      run(recipe(base, method), base + method);
      const fs::path adapter = folder_ / (base + method) / "adapter", merged = folder_ / (base + method) / "merged";
      Model adapted = load_model(folder_ / base), whole = load_model(folder_ / base);
      adapt(adapted, adapter);
      adapt_by_merging(whole, adapter);
      save_model(whole, merged);
      EXPECT_LT(distance(logits(adapted), logits(load_model(merged))), 2e-4) << base << " " << method;
    }
  run(recipe("llama", "bottleneck"), "bottleneck");
  Model model = load_model(folder_ / "llama");
  EXPECT_THROW(adapt_by_merging(model, folder_ / "bottleneck" / "adapter"), Error);
}

TEST_F(TuneLearnerTest, TheLossIsThatOfTheAnswersTokensAlone) {
  write_file(folder_ / "one.jsonl", turn("red?", "yes"));
  Json json = recipe("llama", "lora");
  json["tune"]["data"] = {(folder_ / "one.jsonl").string()};
  json["batch"] = 1;
  Recipe read = read_recipe(json, "");
  TuneLearner learner(read);
  learner.begin(0);
  const double loss = learner.step(0);

  const Model model = load_model(folder_ / "llama");
  const auto before = model.tokenizer->encode("[user] red?\n[assistant] ").ids;
  const auto all = model.tokenizer->encode("[user] red?\n[assistant] yes<|end|>\n").ids;
  const Tensor ids = torch::tensor(all, torch::kInt64).unsqueeze(0);
  Tensor labels = ids.clone();
  labels.narrow(1, 0, static_cast<int64_t>(before.size())).fill_(-100);
  const torch::NoGradGuard no_gradient;
  const Tensor logits = model.as<LanguageModel>("be compared").forward({ids, {}, {}});
  EXPECT_NEAR(loss, next_token_loss(logits, labels).item<double>(), 1e-5);
}

TEST_F(TuneLearnerTest, PackedRowsLearnWhatTheirExamplesWouldAlone) {
  for (const std::string base : {"gpt2", "llama"}) {
    Json packed = recipe(base, "lora"), alone = packed;
    packed["tune"]["length"] = 96;
    alone["tune"]["packing"] = false;
    Recipe read = read_recipe(packed, "");
    const TuneLearner learner(read);
    EXPECT_TRUE(learner.packs());
    EXPECT_LT(learner.summary().at("rows"), learner.summary().at("examples"));
    expect_same_step(packed, alone);
  }
}

TEST_F(TuneLearnerTest, WhatCannotKeepExamplesApartDoesNotPack) {
  write_model(mamba2_config(), folder_ / "mamba2");
  for (const auto& [base, method] :
       std::vector<std::pair<std::string, std::string>>{{"mamba2", "lora"}, {"llama", "prefix"}, {"llama", "prompt"}}) {
    Recipe read = read_recipe(recipe(base, method), "");
    const TuneLearner learner(read);
    EXPECT_FALSE(learner.packs()) << base << " " << method;
    EXPECT_EQ(learner.summary().at("rows"), 4);
  }
}

TEST_F(TuneLearnerTest, CheckpointingChangesNoGradient) {
  for (const std::string method : {"lora", "ia3", "prompt"}) {
    Json kept = recipe("llama", method), again = kept;
    kept["tune"]["dropout"] = again["tune"]["dropout"] = method == "lora" ? 0.3 : 0.0;
    again["tune"]["checkpointing"] = true;
    expect_same_step(kept, again);
  }
  Json prefix = recipe("llama", "prefix");
  prefix["tune"]["checkpointing"] = true;
  EXPECT_THROW(read_recipe(prefix, ""), Error);
}

/// A step of several small batches is the step of one large one, though their answers differ in length.
TEST_F(TuneLearnerTest, AccumulatedBatchesWeighEveryLearnedTokenTheSame) {
  Json json = recipe("gpt2", "lora");
  json["tune"]["packing"] = false;
  json["steps"] = 3;
  json["batch"] = 4;
  const double whole = run(json, "whole").loss;
  json["batch"] = 1;
  json["accumulate"] = 4;
  EXPECT_NEAR(run(json, "parts").loss, whole, 1e-5 * whole);
}

TEST_F(TuneLearnerTest, AModelThatSeesIsTunedWithPictures) {
  write_model(seeing_config(), folder_ / "seeing");
  write_colour(folder_ / "red.png", {255, 0, 0});
  write_colour(folder_ / "blue.png", {0, 0, 255});
  std::string lines;
  for (const std::string colour : {"red", "blue"})
    lines += R"({"image": ")" + colour +
             R"(.png", "conversations": [{"from": "human", "value": "<image>\nColour?"}, )" +
             R"({"from": "gpt", "value": ")" + colour + "\"}]}\n";
  write_file(folder_ / "pictures.jsonl", lines);
  Json packed = tune_recipe(folder_ / "seeing", folder_ / "pictures.jsonl", "lora"), alone = packed;
  packed["tune"]["targets"] = alone["tune"]["targets"] = {"all-linear"};
  alone["tune"]["packing"] = false;
  expect_same_step(packed, alone);
  packed["steps"] = 150;
  const RunResult result = run(packed, "pictures");
  EXPECT_EQ(result.scores.at("validation").at("accuracy"), 1);  // which takes a look: the questions are the same
  packed["tune"]["method"] = "prompt";
  EXPECT_THROW(run(packed, "prompt"), Error);
}

TEST_F(TuneLearnerTest, ModulesAreThoseThatPeftTakesUnlessOthersAreNamed) {
  const auto targets = [&](const std::string& base, const std::string& method, std::vector<std::string> named = {}) {
    const PeftConfig config =
        adapter_config({.method = method, .targets = std::move(named)}, load_model(folder_ / base));
    return config.targets.names;
  };
  EXPECT_THAT(targets("llama", "lora"), ::testing::ElementsAre("q_proj", "v_proj"));
  EXPECT_THAT(targets("gpt2", "dora"), ::testing::ElementsAre("c_attn"));
  EXPECT_THAT(targets("llama", "ia3"), ::testing::ElementsAre("k_proj", "v_proj", "down_proj"));
  EXPECT_THAT(targets("gpt2", "ia3"), ::testing::ElementsAre("c_attn", "mlp.c_proj"));
  EXPECT_THAT(targets("llama", "lora", {"up_proj"}), ::testing::ElementsAre("up_proj"));
  Json json = recipe("llama", "lora");
  json["tune"]["targets"] = {"nothing_like_it"};
  EXPECT_THROW(run(json, "run"), Error);
}

TEST_F(TuneLearnerTest, AModelThatReadsASourceIsRefused) {
  write_model({{"model_type", "t5"},
               {"vocab_size", 402},
               {"d_model", 16},
               {"d_kv", 4},
               {"d_ff", 24},
               {"num_layers", 1},
               {"num_heads", 4}},
              folder_ / "t5");
  EXPECT_THROW(run(recipe("t5", "lora"), "run"), Error);
  EXPECT_THROW(run(recipe("t5", "prompt"), "run"), Error);
}

TEST_F(TuneLearnerTest, AModelWhoseBridgeReadsAnInstructionIsRefused) {
  write_model(blip2_config("instructblip"), folder_ / "instructblip");
  const std::string message = error_of([&] { run(recipe("instructblip", "lora"), "run"); });
  EXPECT_THAT(message, HasSubstr("reads an instruction"));
}

TEST_F(TuneLearnerTest, RecipesThatMeanNothingAreRefused) {
  const auto refused = [&](const std::string& key, const Json& value) {
    Json json = recipe("llama", "lora");
    json["tune"][key] = value;
    EXPECT_THROW(read_recipe(json, ""), Error) << key;
  };
  refused("method", "loar");
  refused("rank", 0);
  refused("dropout", 1);
  refused("data", Json::array());
  refused("lenght", 5);
  Json json = recipe("llama", "lora");
  json.erase("base");
  EXPECT_THROW(read_recipe(json, ""), Error);
}

}  // namespace
}  // namespace tessera

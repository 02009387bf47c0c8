#include "tuned_models.h"

namespace tessera {
namespace {

using testing::bert;
using testing::distance;
using testing::draw;
using testing::error_of;
using testing::gpt2;
using testing::llama;
using testing::mergeable;
using testing::peft;

std::string label(const testing::Tuned& tuned) { return tuned.model.name + " " + tuned.config.json.dump(); }

const PeftConfig kQueries = peft({{"peft_type", "LORA"}, {"r", 2}, {"target_modules", {"q_proj", "v_proj"}}});
const PeftConfig kBottleneck =
    peft({{"peft_type", "BOTTLENECK"}, {"bottleneck_size", 4}, {"target_modules", ".*output\\.dense"}});

TEST(Adapter, ANewOneChangesNothing) {
  const torch::NoGradGuard no_grad;
  auto all = mergeable();
  all.push_back({bert(), kBottleneck});
  for (const auto& tuned : all) {
    const Tensor before = tuned.model.run();
    Adapter::attach(*tuned.model.module, tuned.model.names, tuned.config);
    EXPECT_LT(distance(before, tuned.model.run()), 1e-5) << label(tuned);
  }
}

TEST(Adapter, MergedEqualsUnmergedAndLeavesNoTrace) {
  const torch::NoGradGuard no_grad;
  for (const auto& tuned : mergeable()) {
    const Tensor plain = tuned.model.run();
    const auto bytes = tuned.model.bytes();
    Adapter adapter = Adapter::attach(*tuned.model.module, tuned.model.names, tuned.config);
    draw(adapter);
    const Tensor active = tuned.model.run();
    EXPECT_GT(distance(plain, active), 1e-3) << label(tuned);
    adapter.merge();
    EXPECT_NE(tuned.model.bytes(), bytes);
    EXPECT_LT(distance(active, tuned.model.run()), 1e-4 * (1 + active.abs().max().item<double>())) << label(tuned);
    adapter.unmerge();
    EXPECT_EQ(tuned.model.bytes(), bytes) << label(tuned);
    EXPECT_TRUE(torch::equal(active, tuned.model.run())) << label(tuned);
    adapter.activate(false);
    EXPECT_TRUE(torch::equal(plain, tuned.model.run())) << label(tuned);
    adapter.activate(true);
    adapter.merge();
    adapter.detach();
    EXPECT_EQ(tuned.model.bytes(), bytes) << label(tuned);
    EXPECT_TRUE(torch::equal(plain, tuned.model.run())) << label(tuned);
  }
}

TEST(Adapter, OnlyItsOwnParametersLearn) {
  auto all = mergeable();
  all.push_back({bert(), kBottleneck});
  for (const auto& tuned : all) {
    Adapter adapter = Adapter::attach(*tuned.model.module, tuned.model.names, tuned.config);
    draw(adapter);
    const auto bytes = tuned.model.bytes();
    adapter.train_only();
    testing::expect_gradients(*tuned.model.module, tuned.model.run());
    int64_t learning = 0;
    for (Tensor& parameter : tuned.model.module->parameters()) {
      if (!parameter.requires_grad()) continue;
      const torch::NoGradGuard no_grad;
      parameter.sub_(parameter.grad() * 0.1);
      ++learning;
    }
    EXPECT_EQ(learning, static_cast<int64_t>(adapter.parameters().size())) << label(tuned);
    EXPECT_EQ(tuned.model.bytes(), bytes) << label(tuned);
    adapter.detach();
    for (const Tensor& parameter : tuned.model.module->parameters()) EXPECT_TRUE(parameter.requires_grad());
  }
}

TEST(Adapter, SavedAndLoadedItIsTheSameToTheByte) {
  const torch::NoGradGuard no_grad;
  auto all = mergeable();
  all.push_back({bert(), kBottleneck});
  for (const auto& tuned : all) {
    const testing::Scratch first, second;
    Adapter adapter = Adapter::attach(*tuned.model.module, tuned.model.names, tuned.config);
    draw(adapter);
    const Tensor active = tuned.model.run();
    adapter.save(first.path());
    adapter.detach();
    Adapter again = Adapter::load(*tuned.model.module, tuned.model.names, first.path());
    EXPECT_TRUE(torch::equal(active, tuned.model.run())) << label(tuned);
    again.save(second.path());
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
      EXPECT_EQ(read_file(first / file), read_file(second / file)) << label(tuned) << " " << file;
  }
}

TEST(Adapter, ItsTensorsHaveTheNamesOfPeft) {
  const auto model = llama();
  const Adapter adapter = Adapter::attach(*model.module, model.names, kQueries);
  ASSERT_EQ(adapter.tensors().size(), 8u);
  const auto& [name, tensor] = adapter.tensors()[2];
  EXPECT_EQ(name, "base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight");
  EXPECT_EQ(tensor.sizes(), (std::vector<int64_t>{2, 16}));
  EXPECT_EQ(adapter.tensors()[3].second.sizes(), (std::vector<int64_t>{8, 2}));  // two heads share the values
}

TEST(Adapter, SeveralAddUp) {
  const torch::NoGradGuard no_grad;
  const auto model = llama();
  Adapter one = Adapter::attach(*model.module, model.names, kQueries, "one");
  draw(one);
  const Tensor first = model.run();
  Adapter two =
      Adapter::attach(*model.module, model.names,
                      peft({{"peft_type", "LORA"}, {"r", 4}, {"target_modules", {"q_proj", "o_proj"}}}), "two");
  draw(two);
  const Tensor both = model.run();
  EXPECT_GT(distance(first, both), 1e-3);
  one.merge();
  EXPECT_LT(distance(both, model.run()), 1e-4 * (1 + both.abs().max().item<double>()));
  two.merge();
  EXPECT_LT(distance(both, model.run()), 1e-4 * (1 + both.abs().max().item<double>()));
  EXPECT_THROW(one.unmerge(), Error);  // it would take the other's change away
  two.unmerge();
  one.unmerge();
  two.activate(false);
  EXPECT_TRUE(torch::equal(first, model.run()));
}

TEST(Adapter, OneForAnotherModelIsRefused) {
  const testing::Scratch folder;
  const auto model = llama(), wider = llama(32), other = gpt2();
  Adapter::attach(*model.module, model.names, kQueries).save(folder.path());
  const auto bytes = wider.bytes();
  const auto refused = [&](const testing::Subject& subject) {
    return error_of([&] { Adapter::load(*subject.module, subject.names, folder.path()); });
  };
  EXPECT_NE(refused(wider).find("has shape [2, 16], this model needs [2, 32]"), std::string::npos) << refused(wider);
  EXPECT_NE(refused(other).find("the adapter was made for another model"), std::string::npos) << refused(other);
  EXPECT_EQ(wider.bytes(), bytes);
  EXPECT_EQ(named_tensors(*wider.module).size(), bytes.size());  // nothing stays behind
}

TEST(Adapter, AFileThatDoesNotFitItsConfigIsRefused) {
  const testing::Scratch folder;
  const auto model = llama();
  Adapter adapter = Adapter::attach(*model.module, model.names, kQueries);
  adapter.save(folder.path());
  adapter.detach();
  Json config = kQueries.json;
  config["target_modules"] = {"q_proj"};
  write_file(folder / "adapter_config.json", config.dump());
  const auto load = [&] { Adapter::load(*model.module, model.names, folder.path()); };
  EXPECT_NE(error_of(load).find("the model has no place for"), std::string::npos);
  config["target_modules"] = {"q_proj", "v_proj", "o_proj"};
  write_file(folder / "adapter_config.json", config.dump());
  EXPECT_NE(error_of(load).find("o_proj.lora_A.weight' is missing"), std::string::npos);
}

TEST(Adapter, BottlenecksCannotBeMerged) {
  const auto model = bert();
  Adapter adapter = Adapter::attach(*model.module, model.names, kBottleneck);
  EXPECT_THROW(adapter.merge(), Error);
  EXPECT_FALSE(adapter.is_merged());
}

/// Though the parts that could be merged come first.
TEST(Adapter, WhatCannotBeMergedLeavesTheModelAsItWas) {
  const auto model = bert();
  const auto bytes = model.bytes();
  Adapter adapter = Adapter::attach(
      *model.module, model.names,
      peft({{"peft_type", "BOTTLENECK"}, {"target_modules", "classifier"}, {"modules_to_save", {"query"}}}));
  draw(adapter);
  const Tensor active = model.run();
  EXPECT_THROW(adapter.merge(), Error);
  EXPECT_THROW(adapter.merge_for_good(), Error);
  EXPECT_EQ(model.bytes(), bytes);
  EXPECT_TRUE(torch::equal(active, model.run()));
}

TEST(Adapter, MergedForGoodItIsTheModelAloneThatComputesTheSame) {
  const torch::NoGradGuard no_grad;
  for (const auto& tuned : mergeable())
    for (const bool merged_before : {false, true}) {
      const size_t parameters = tuned.model.bytes().size();
      Adapter adapter = Adapter::attach(*tuned.model.module, tuned.model.names, tuned.config);
      draw(adapter);
      const Tensor active = tuned.model.run();
      if (merged_before) adapter.merge();
      adapter.merge_for_good();
      EXPECT_FALSE(adapter.is_merged());
      EXPECT_EQ(named_tensors(*tuned.model.module).size(), parameters) << "nothing stays behind";
      EXPECT_LT(distance(active, tuned.model.run()), 1e-4 * (1 + active.abs().max().item<double>())) << label(tuned);
    }
}

TEST(Adapter, AParameterThatChangedSinceIsNotOverwritten) {
  const torch::NoGradGuard no_grad;
  const auto model = llama();
  Adapter adapter = Adapter::attach(*model.module, model.names, kQueries);
  draw(adapter);
  adapter.merge();
  Tensor varied = model.module->named_parameters()["blocks.1.attention.qkv.weight"];
  varied[0][0] += 1;
  EXPECT_THROW(adapter.unmerge(), Error);
  EXPECT_TRUE(adapter.is_merged());
  varied[0][0] -= 1;
}

}  // namespace
}  // namespace tessera

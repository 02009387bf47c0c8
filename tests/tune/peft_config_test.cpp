#include "tuned_models.h"

namespace tessera {
namespace {

using testing::peft;

PeftConfig lora(const Json& more) {
  Json config = {{"peft_type", "LORA"}};
  config.update(more);
  return peft(config);
}

TEST(PeftConfig, ANameSelectsWhatEndsWithIt) {
  const PeftConfig config =
      lora({{"target_modules", {"q_proj", "mlp.up"}}, {"exclude_modules", {"layers.1.self_attn.q_proj"}}});
  EXPECT_TRUE(config.selects("model.layers.0.self_attn.q_proj"));
  EXPECT_TRUE(config.selects("q_proj"));
  EXPECT_TRUE(config.selects("a.mlp.up"));
  EXPECT_FALSE(config.selects("a.xmlp.up"));
  EXPECT_FALSE(config.selects("model.layers.0.self_attn.eq_proj"));
  EXPECT_FALSE(config.selects("model.layers.1.self_attn.q_proj"));
}

TEST(PeftConfig, AStringIsAnExpressionForTheWholePath) {
  const PeftConfig config = lora({{"target_modules", "model\\.layers\\.[01]\\..*(q|v)_proj"}});
  EXPECT_TRUE(config.selects("model.layers.1.self_attn.v_proj"));
  EXPECT_FALSE(config.selects("model.layers.2.self_attn.v_proj"));
  EXPECT_FALSE(config.selects("x.model.layers.1.self_attn.v_proj"));
}

TEST(PeftConfig, LayersCanBeChosen) {
  const PeftConfig config = lora({{"target_modules", {"q_proj"}}, {"layers_to_transform", {1, 3}}});
  EXPECT_TRUE(config.selects("model.layers.3.self_attn.q_proj"));
  EXPECT_FALSE(config.selects("model.layers.2.self_attn.q_proj"));
  const PeftConfig named =
      lora({{"target_modules", {"q_proj"}}, {"layers_to_transform", 1}, {"layers_pattern", "blocks"}});
  EXPECT_FALSE(named.selects("model.layers.1.self_attn.q_proj"));
  EXPECT_TRUE(named.selects("model.blocks.1.self_attn.q_proj"));
}

TEST(PeftConfig, PatternsGiveModulesTheirOwnRankAndAlpha) {
  const PeftConfig config = lora({{"r", 4},
                                  {"lora_alpha", 8},
                                  {"target_modules", {"a", "b"}},
                                  {"rank_pattern", {{"b", 16}}},
                                  {"alpha_pattern", {{"layers.0.b", 4}}}});
  EXPECT_EQ(config.rank_of("layers.0.a"), 4);
  EXPECT_EQ(config.scale_of("layers.0.a"), 2.0);
  EXPECT_EQ(config.rank_of("layers.1.b"), 16);
  EXPECT_EQ(config.scale_of("layers.1.b"), 0.5);
  EXPECT_EQ(config.scale_of("layers.0.b"), 0.25);
  EXPECT_EQ(lora({{"r", 4}, {"lora_alpha", 8}, {"target_modules", {"a"}}, {"use_rslora", true}}).scale_of("a"), 4.0);
}

TEST(PeftConfig, WhatWouldChangeTheResultAndIsNotSupportedIsAnError) {
  const Json targets = {"a"};
  EXPECT_THROW(lora({}), Error);
  EXPECT_THROW(lora({{"target_modules", targets}, {"bias", "all"}}), Error);
  EXPECT_THROW(lora({{"target_modules", targets}, {"lora_bias", true}}), Error);
  EXPECT_THROW(lora({{"target_modules", targets}, {"init_lora_weights", "pissa"}}), Error);
  EXPECT_THROW(lora({{"target_modules", targets}, {"layer_replication", {{0, 2}}}}), Error);
  EXPECT_THROW(lora({{"target_modules", targets}, {"something_new", 1}}), Error);
  EXPECT_THROW(lora({{"target_modules", targets}, {"r", 0}}), Error);
  EXPECT_THROW(peft({{"peft_type", "OFT"}, {"target_modules", targets}}), Error);
  EXPECT_NO_THROW(lora({{"target_modules", targets}, {"megatron_core", "megatron.core"}, {"inference_mode", true}}));
}

}  // namespace
}  // namespace tessera

// The two ways in which published configs spell one thing, and what must not pass silently.
#include <gmock/gmock.h>

#include <set>

#include "language/language_models.h"
#include "layers/family.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;

Json with(Json config, const Json& more) {
  config.update(more);
  return config;
}

const Json kLlama = {
    {"model_type", "llama"},  {"vocab_size", 50},           {"hidden_size", 16},        {"intermediate_size", 24},
    {"num_hidden_layers", 3}, {"num_attention_heads", 4},   {"num_key_value_heads", 2}, {"max_position_embeddings", 64},
    {"rms_norm_eps", 1e-6},   {"tie_word_embeddings", true}};

/// What the model of a config answers, its weights drawn alike for all of one size.
Tensor answer(const Json& config, int64_t length = 14) {
  const torch::NoGradGuard no_grad;
  const auto model = std::dynamic_pointer_cast<LanguageModel>(assemble(config, "config.json").module);
  testing::randomise(*model);
  return model->forward({testing::some_ids(1, length), {}, {}});
}

TEST(PublishedRotary, OldAndNewSpellingsAreOne) {
  const auto old = [](const Json& scaling) {
    return with(kLlama, {{"rope_theta", 5000.0}, {"rope_scaling", scaling}});
  };
  const auto recent = [](Json parameters) {
    parameters["rope_theta"] = 5000.0;
    return with(kLlama, {{"rope_parameters", parameters}});
  };
  EXPECT_LT(distance(answer(old(nullptr)), answer(recent({{"rope_type", "default"}}))), 1e-7);
  EXPECT_GT(distance(answer(old(nullptr)), answer(kLlama)), 1e-4) << "theta counts";
  for (const Json& scaling :
       std::vector<Json>{{{"rope_type", "linear"}, {"factor", 2.0}},
                         {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 16}},
                         {{"rope_type", "llama3"},
                          {"factor", 8.0},
                          {"low_freq_factor", 1.0},
                          {"high_freq_factor", 4.0},
                          {"original_max_position_embeddings", 16}}}) {
    Json before = scaling;
    before["type"] = before["rope_type"];
    before.erase("rope_type");
    EXPECT_LT(distance(answer(old(before)), answer(recent(scaling))), 1e-7) << scaling;
    EXPECT_GT(distance(answer(old(before)), answer(old(nullptr))), 1e-4) << scaling << " counts";
  }
}

TEST(PublishedRotary, TheFirstNameOfLongRopeIsKnown) {
  const Json phi3 = with(kLlama, {{"model_type", "phi3"}, {"original_max_position_embeddings", 8}});
  const Json factors = {{"short_factor", {1.0, 1.5}}, {"long_factor", {1.0, 4.0}}};
  const Json su = with(phi3, {{"rope_scaling", with(factors, {{"type", "su"}})}});
  const Json longrope = with(phi3, {{"rope_scaling", with(factors, {{"type", "longrope"}})}});
  EXPECT_LT(distance(answer(su), answer(longrope)), 1e-7);
}

TEST(PublishedRotary, WhatIsNotKnownIsAnError) {
  const auto scaled = [](const Json& scaling) {
    return error_of([&] { assemble(with(kLlama, {{"rope_scaling", scaling}}), "config.json"); });
  };
  EXPECT_THAT(scaled({{"type", "mrope"}}), ::testing::HasSubstr("mrope"));
  EXPECT_THAT(scaled({{"type", "linear"}, {"factor", 2.0}, {"facter", 2.0}}), ::testing::HasSubstr("facter"));
  EXPECT_THAT(scaled({{"type", "linear"}, {"factor", -2.0}}), ::testing::HasSubstr("rotary"));
  EXPECT_THAT(error_of([] {
                assemble(with(kLlama, {{"qk_layernorm", true}}), "config.json");
              }),
              ::testing::HasSubstr("qk_layernorm"));
}

TEST(PublishedWindows, NullIsNoneAndAbsenceIsTheDefault) {
  const Json mistral = with(kLlama, {{"model_type", "mistral"}});
  const Tensor none = answer(with(mistral, {{"sliding_window", nullptr}}));
  EXPECT_LT(distance(answer(mistral), none), 1e-7) << "4096 is wider than this text";
  EXPECT_GT(distance(answer(with(mistral, {{"sliding_window", 4}})), none), 1e-4);
  EXPECT_LT(distance(answer(with(mistral, {{"sliding_window", 4}}), 4), answer(mistral, 4)), 1e-7);
}

TEST(PublishedWindows, Qwen2HasThemInItsLastLayersAndWhenItSaysSo) {
  const Json qwen2 = with(kLlama, {{"model_type", "qwen2"}, {"sliding_window", 4}});
  const Json used = with(qwen2, {{"use_sliding_window", true}});
  const Tensor none = answer(qwen2), last = answer(with(used, {{"max_window_layers", 2}}));
  EXPECT_LT(distance(answer(with(used, {{"max_window_layers", 3}})), none), 1e-7);
  EXPECT_GT(distance(last, none), 1e-4);
  const Json types = {"full_attention", "full_attention", "sliding_attention"};
  EXPECT_LT(distance(answer(with(used, {{"layer_types", types}})), last), 1e-7);
  EXPECT_THROW(answer(with(used, {{"layer_types", {"full_attention"}}})), Error);
}

TEST(PublishedT5, AHeadThatIsScaledIsTied) {
  const Json t5 = {{"model_type", "t5"}, {"vocab_size", 50}, {"d_model", 16}, {"d_kv", 4},
                   {"d_ff", 24},         {"num_layers", 1},  {"num_heads", 2}};
  const auto has_head = [&](const Json& more) {
    return assemble(with(t5, more), "config.json").module->named_parameters().contains("head.weight");
  };
  EXPECT_FALSE(has_head(Json::object()));
  EXPECT_TRUE(has_head({{"tie_word_embeddings", false}}));
  EXPECT_TRUE(has_head({{"tie_word_embeddings", true}, {"scale_decoder_outputs", false}})) << "transformers 5";
  EXPECT_FALSE(has_head({{"tie_word_embeddings", true}, {"scale_decoder_outputs", true}}));
}

TEST(PublishedBart, FilesWithAndWithoutAHeadNameEveryParameter) {
  const Json bart = {
      {"model_type", "bart"},         {"vocab_size", 50},      {"d_model", 16},       {"encoder_layers", 1},
      {"encoder_attention_heads", 2}, {"encoder_ffn_dim", 20}, {"decoder_layers", 2}, {"decoder_attention_heads", 4},
      {"decoder_ffn_dim", 24}};
  const auto names_of = [&](const Json& more) {
    const Assembly assembly = assemble(with(bart, more), "config.json");
    std::set<std::string> written;
    for (const auto& list : {assembly.module->named_parameters(), assembly.module->named_buffers()})
      for (const auto& item : list)
        for (const auto& [name, place] : assembly.names.published(item.key())) {
          EXPECT_TRUE(written.insert(name).second) << name;
          EXPECT_EQ(assembly.names.place(name)->path, item.key());
        }
    return written;
  };
  const auto head = names_of({{"architectures", {"BartForConditionalGeneration"}}});
  for (const char* name :
       {"final_logits_bias", "model.shared.weight", "model.encoder.layernorm_embedding.bias",
        "model.encoder.layers.0.self_attn.k_proj.weight", "model.decoder.embed_positions.weight",
        "model.decoder.layers.1.encoder_attn.v_proj.bias", "model.decoder.layers.1.final_layer_norm.weight"})
    EXPECT_TRUE(head.contains(name)) << name;
  const auto bare = names_of({{"architectures", {"BartModel"}}});
  EXPECT_TRUE(bare.contains("decoder.layers.1.encoder_attn.v_proj.bias"));
  EXPECT_FALSE(bare.contains("final_logits_bias"));
  EXPECT_EQ(bare.size() + 1, head.size());
  EXPECT_THROW(names_of({{"normalize_before", true}}), Error);
  EXPECT_THROW(names_of({{"decoder_norm", true}}), Error);
}

}  // namespace
}  // namespace tessera

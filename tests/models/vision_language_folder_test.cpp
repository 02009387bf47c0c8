// Folders of vision-language models: what they hold beside the weights, and parts that do not belong together.
#include <gmock/gmock.h>

#include "models/folders.h"
#include "vlm/vision_language.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::Named;

class VisionLanguageFolder : public testing::PublishedFolder {
 protected:
  void SetUp() override {
    if (!publish_golden("llava/llava-default")) GTEST_SKIP() << "no golden of this name";
  }
  /// Words w0, w1, ... with their numbers as ids, and <image> at `place`.
  void write_tokenizer(int64_t place) {
    Json vocabulary = {{"<image>", place}};
    for (int64_t i = 0; i < place; ++i) vocabulary["w" + std::to_string(i)] = i;
    const Json image = {{"id", place},     {"content", "<image>"}, {"single_word", false}, {"lstrip", false},
                        {"rstrip", false}, {"normalized", false},  {"special", true}};
    const Json tokenizer = {{"version", "1.0"},
                            {"truncation", nullptr},
                            {"padding", nullptr},
                            {"added_tokens", Json::array({image})},
                            {"normalizer", nullptr},
                            {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                            {"post_processor", nullptr},
                            {"decoder", nullptr},
                            {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "w0"}}}};
    write_file(folder() / "tokenizer.json", tokenizer.dump());
  }
};

TEST_F(VisionLanguageFolder, WhatTheFolderSaysOfGeneratingTravelsAlong) {
  const Json generation = {{"eos_token_id", {2, 5}}, {"do_sample", true}, {"temperature", 0.2}};
  write_file(folder() / "generation_config.json", generation.dump());
  write_file(folder() / "chat_template.json", Json{{"chat_template", "{{ messages[0] }}"}}.dump());
  const Model model = load_model(folder());
  EXPECT_EQ(model.generation, generation);
  EXPECT_EQ(model.chat_template, "{{ messages[0] }}");
  save_model(model, scratch / "saved");
  const Model again = load_model(scratch / "saved");
  EXPECT_EQ(again.generation, generation);
  EXPECT_EQ(again.chat_template, model.chat_template);
}

TEST_F(VisionLanguageFolder, OfSeveralChatTemplatesTheDefaultIsTaken) {
  EXPECT_EQ(load_model(folder()).chat_template, "");
  const Json named = {{{"name", "rag"}, {"template", "a"}}, {{"name", "default"}, {"template", "b"}}};
  write_file(folder() / "tokenizer_config.json", Json{{"chat_template", named}}.dump());
  EXPECT_EQ(load_model(folder()).chat_template, "b");
  write_file(folder() / "chat_template.jinja", "c");
  EXPECT_EQ(load_model(folder()).chat_template, "c");
  fs::remove(folder() / "chat_template.jinja");
  write_file(folder() / "tokenizer_config.json", Json{{"chat_template", 3}}.dump());
  EXPECT_THAT(error_of([&] { load_model(folder()); }), HasSubstr("tokenizer_config.json: chat_template"));
}

TEST_F(VisionLanguageFolder, AnExpandedPromptHasAPlaceForEveryTokenOfItsPicture) {
  const int64_t place = config["image_token_index"];
  write_tokenizer(place);
  const Model model = load_model(folder());
  auto& vlm = model.as<VisionLanguage>("answer");
  MultimodalBatch batch;
  batch.pictures.pixel_values = torch::zeros({2, 3, 28, 28});
  const std::string prompt = vlm.expand_placeholders("w3 <image> w4 <image>", batch.pictures);
  const auto ids = model.tokenizer->encode(prompt).ids;
  EXPECT_EQ(ids, (std::vector<int64_t>{3, place, place, place, place, 4, place, place, place, place}));
  batch.text.ids = torch::tensor(ids, torch::kInt64).unsqueeze(0);
  EXPECT_EQ(vlm.forward(batch).size(1), 10);
}

TEST_F(VisionLanguageFolder, ATokenizerOfAnotherModelIsRefused) {
  write_tokenizer(config["image_token_index"].get<int64_t>() - 1);
  EXPECT_THAT(error_of([&] { load_model(folder()); }), AllOf(HasSubstr("63"), HasSubstr("<image> at 62")));
}

TEST_F(VisionLanguageFolder, PartsOfDifferentSizesAreRefused) {
  for (const auto& [part, key, value] : {std::tuple{"text_config", "hidden_size", 40},
                                         {"text_config", "vocab_size", 66},
                                         {"text_config", "num_hidden_layers", 3},
                                         {"vision_config", "hidden_size", 64},
                                         {"vision_config", "image_size", 42}}) {
    Json changed = config;
    changed[part][key] = value;
    EXPECT_THAT(with_config(changed), HasSubstr("model")) << part << key;
  }
}

TEST_F(VisionLanguageFolder, SettingsThatMakeNoSenseNameTheirKey) {
  const auto with = [&](const char* key, const Json& value) {
    Json changed = config;
    changed[key] = value;
    return with_config(changed);
  };
  EXPECT_THAT(with("vision_feature_layer", -5), AllOf(HasSubstr("vision_feature_layer"), HasSubstr("3 layers")));
  EXPECT_THAT(with("vision_feature_layer", Json::array()), HasSubstr("vision_feature_layer"));
  EXPECT_THAT(with("vision_feature_select_strategy", "patches"), HasSubstr("vision_feature_select_strategy"));
  EXPECT_THAT(with("image_token_index", -200), HasSubstr("image_token_index"));
  EXPECT_THAT(with("projector_type", "linear"), HasSubstr("unknown key 'projector_type'"));
  EXPECT_THAT(with("text_config", {{"model_type", "clip"}}), HasSubstr("text_config"));
  EXPECT_THAT(with("vision_config", {{"model_type", "dinov2"}}), HasSubstr("vision_config: model_type"));
}

TEST_F(VisionLanguageFolder, TheNamesOfModelsInMemoryAreReadAndKept) {
  Named renamed;
  for (auto [name, tensor] : testing::tensors_of(folder() / "model.safetensors")) {
    const std::string text = "language_model.model.", head = "language_model.lm_head.", tower = "vision_tower.";
    if (name.starts_with(text))
      name = "model.language_model." + name.substr(text.size());
    else if (name.starts_with(head))
      name = "lm_head." + name.substr(head.size());
    else if (name.starts_with(tower + "vision_model."))
      name = "model." + tower + name.substr(tower.size() + 13);
    else
      name = "model." + name;
    renamed.emplace_back(name, tensor);
  }
  const Model published = load_model(folder());
  save_checkpoint(folder() / "model.safetensors", renamed);
  const Model model = load_model(folder());
  for (const auto& [path, tensor] : named_tensors(*published.module))
    EXPECT_TRUE(torch::equal(tensor, named_tensors(*model.module).at(path))) << path;
  save_model(model, scratch / "saved");
  testing::expect_same_tensors(folder() / "model.safetensors", scratch / "saved/model.safetensors");
}

TEST(VisionLanguageGolden, RecordedPromptsHaveAsManyPlacesAsPicturesHaveTokens) {
  for (const char* name : {"llava/llava-default", "llava/llava-full-multilayer", "llava/llavanext-anyres",
                           "paligemma/gemma1", "paligemma/gemma2", "cephalo/idefics2"}) {
    const auto all = testing::golden_models();
    if (!all.contains(name)) continue;
    const Model model = make_model(testing::golden_config(all.at(name)), name);
    const auto& vlm = model.as<VisionLanguage>("answer");
    const Checkpoint cases = Checkpoint::open(all.at(name) / "cases.safetensors");
    const std::string group = cases.has("forward/in/input_ids") ? "forward/in/" : "forward_causal/in/";
    ImageBatch pictures;
    pictures.pixel_values = cases.tensor(group + "pixel_values");
    if (cases.has(group + "image_sizes")) pictures.image_sizes = cases.tensor(group + "image_sizes");
    if (std::string(name) == "cephalo/idefics2") {
      const Tensor flat = pictures.pixel_values.flatten(0, 1);
      pictures.pixel_values = flat.index_select(0, flat.flatten(1).ne(0).any(1).nonzero().squeeze(1));
    }
    int64_t tokens = 0;
    for (const int64_t length : vlm.picture_lengths(pictures)) tokens += length;
    EXPECT_EQ(cases.tensor(group + "input_ids").eq(vlm.options().placeholder_id).sum().item<int64_t>(), tokens) << name;
  }
}

}  // namespace
}  // namespace tessera

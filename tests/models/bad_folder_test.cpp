// Files that do not belong together end in one Error that names what is wrong.
#include <gmock/gmock.h>

#include "fusion/dual_encoder.h"
#include "models/folders.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::Named;

class BadFolder : public testing::PublishedFolder {
 protected:
  void SetUp() override {
    if (!publish_golden("bert/roberta-mlm")) GTEST_SKIP() << "no golden of this name";
    tensors = testing::tensors_of(folder() / "model.safetensors");
  }
  std::string with_tensors(const Named& changed) {
    save_checkpoint(folder() / "model.safetensors", changed);
    return error_of([&] { load_model(folder()); });
  }

  Named tensors;
};

TEST_F(BadFolder, AMissingTensorIsNamed) {
  for (size_t i = 0; i < tensors.size(); i += 7) {
    Named fewer = tensors;
    const std::string gone = fewer[i].first;
    if (gone == "lm_head.decoder.weight" || gone == "lm_head.decoder.bias") continue;  // second names: may be missing
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_THAT(with_tensors(fewer), AllOf(HasSubstr("model"), HasSubstr("missing tensors: '" + gone + "'")));
  }
}

TEST_F(BadFolder, ASurplusTensorIsNamed) {
  Named more = tensors;
  more.emplace_back("roberta.encoder.layer.3.output.dense.bias", torch::zeros({24}));
  EXPECT_THAT(
      with_tensors(more),
      HasSubstr("surplus tensors that the model has no place for: 'roberta.encoder.layer.3.output.dense.bias'"));
  more = tensors;
  more.emplace_back("something.else", torch::zeros({1}));
  EXPECT_THAT(with_tensors(more), HasSubstr("'something.else'"));
}

TEST_F(BadFolder, AMisspeltTensorNamesTheOneThatIsMissing) {
  for (auto& [name, tensor] : tensors)
    if (name == "lm_head.dense.weight") name = "lm_head.dens.weight";
  EXPECT_THAT(with_tensors(tensors),
              AllOf(HasSubstr("'lm_head.dens.weight'"), HasSubstr("'lm_head.dense.weight' is missing")));
}

TEST_F(BadFolder, ATensorOfAnotherShapeIsNamedWithBothShapes) {
  for (auto& [name, tensor] : tensors)
    if (name == "lm_head.dense.weight") tensor = torch::zeros({24, 23});
  EXPECT_THAT(with_tensors(tensors),
              AllOf(HasSubstr("tensor 'lm_head.dense.weight' has shape [24, 23]"), HasSubstr("[24, 24]")));
}

TEST_F(BadFolder, ATransposedTensorOfAnotherRankIsRefused) {
  for (auto& [name, tensor] : tensors)
    if (name == "lm_head.dense.weight") tensor = torch::zeros({576});
  EXPECT_THAT(with_tensors(tensors), HasSubstr("lm_head.dense.weight"));
}

TEST_F(BadFolder, UntiedCopiesAreRefused) {
  Named untied;
  for (const auto& [name, tensor] : tensors)
    if (name != "lm_head.decoder.weight") untied.emplace_back(name, tensor);
  untied.emplace_back("lm_head.decoder.weight", torch::zeros({89, 24}));
  EXPECT_THAT(with_tensors(untied), HasSubstr("differs from the tensor that it is tied to"));
}

TEST_F(BadFolder, ACheckpointCutAnywhereIsAnError) {
  const std::string whole = read_file(folder() / "model.safetensors");
  for (size_t length : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{9}, size_t{500}, whole.size() / 4,
                        whole.size() / 2, whole.size() - 4096, whole.size() - 1}) {
    write_file(folder() / "model.safetensors", std::string_view(whole).substr(0, length));
    EXPECT_THAT(error_of([&] { load_model(folder()); }), HasSubstr("model.safetensors")) << length;
  }
  write_file(folder() / "model.safetensors", whole);
  EXPECT_NO_THROW(load_model(folder()));
}

TEST_F(BadFolder, AConfigOfWrongTypesNamesTheKey) {
  for (const char* key : {"hidden_size", "num_hidden_layers", "vocab_size", "layer_norm_eps"})
    for (const Json& value : {Json("24"), Json::array({24}), Json(true)}) {
      Json changed = config;
      changed[key] = value;
      EXPECT_THAT(with_config(changed), HasSubstr(std::string("config.json: ") + key)) << value;
    }
}

TEST_F(BadFolder, AConfigThatDoesNotFitTheWeightsIsAnError) {
  for (const auto& [key, value] : {std::pair{"hidden_size", 48},
                                   {"num_hidden_layers", 2},
                                   {"num_hidden_layers", 4},
                                   {"vocab_size", 90},
                                   {"intermediate_size", 41}}) {
    Json changed = config;
    changed[key] = value;
    EXPECT_THAT(with_config(changed), HasSubstr("model")) << key;
  }
}

TEST_F(BadFolder, SizesThatMakeNoSenseAreErrors) {
  for (const auto& [key, value] : {std::pair{"num_attention_heads", 5},
                                   {"num_attention_heads", 0},
                                   {"hidden_size", -24},
                                   {"vocab_size", -1},
                                   {"num_attention_heads", -3}}) {
    Json changed = config;
    changed[key] = value;
    write_file(folder() / "config.json", changed.dump());
    EXPECT_THROW(load_model(folder()), Error) << key << " " << value;
  }
}

TEST_F(BadFolder, AnUnknownKeyIsAnError) {
  config["rotary_base"] = 10000;
  EXPECT_THAT(with_config(config), HasSubstr("config.json: unknown key 'rotary_base'"));
}

TEST_F(BadFolder, AnUnknownModelTypeNamesTheKnownOnes) {
  config["model_type"] = "bret";
  EXPECT_THAT(with_config(config), AllOf(HasSubstr("unknown model type 'bret'"), HasSubstr("bert")));
}

TEST_F(BadFolder, AModelTypeThatIsNoStringIsAnError) {
  config["model_type"] = 3;
  write_file(folder() / "config.json", config.dump());
  EXPECT_THROW(load_model(folder()), Error);
}

TEST_F(BadFolder, AConfigThatIsNoObjectIsAnError) {
  for (const char* text : {"[]", "3", "null", "\"bert\"", "", "{", "{\"model_type\": \"bert\""}) {
    write_file(folder() / "config.json", text);
    EXPECT_THROW(load_model(folder()), Error) << text;
  }
}

TEST_F(BadFolder, WithoutConfigOrWeightsItSaysWhatAModelFolderHas) {
  fs::remove(folder() / "model.safetensors");
  EXPECT_THAT(error_of([&] { load_model(folder()); }), HasSubstr("model"));
  fs::remove(folder() / "config.json");
  EXPECT_THAT(error_of([&] { load_model(folder()); }),
              AllOf(HasSubstr("holds no config.json"), HasSubstr("model.safetensors")));
  EXPECT_THAT(error_of([&] { load_model(scratch / "nowhere"); }), HasSubstr("nowhere: does not exist"));
}

TEST_F(BadFolder, ABareFileNeedsAConfig) {
  EXPECT_THAT(error_of([&] { load_model(folder() / "model.safetensors"); }), HasSubstr("is a file without a config"));
  const Model model = load_model(folder() / "model.safetensors", folder() / "config.json");
  EXPECT_EQ(model.family, "bert");
}

TEST_F(BadFolder, WhatAModelCannotDoIsSaid) {
  EXPECT_THAT(error_of([&] { load_model(folder()).as<DualEncoder>("classify pictures"); }),
              HasSubstr("a model of family 'bert' cannot classify pictures"));
}

TEST_F(BadFolder, ATargetThatCannotBeWrittenIsAnError) {
  const Model model = load_model(folder());
  write_file(scratch / "file", "no folder");
  EXPECT_THAT(error_of([&] { save_model(model, scratch / "file"); }), HasSubstr("file"));
  EXPECT_THAT(error_of([&] { save_model(model, scratch / "file/inner"); }), HasSubstr("file/inner"));
}

class BadVisionLanguageFolder : public testing::PublishedFolder {};

TEST_F(BadVisionLanguageFolder, PartsOfOtherSizesAreNamed) {
  if (!publish_golden("blip2/blip2-t5")) GTEST_SKIP() << "no golden of this name";
  const auto with = [&](const char* path, const Json& value) {
    Json changed = config;
    changed[Json::json_pointer(path)] = value;
    return with_config(changed);
  };
  EXPECT_THAT(with("/num_query_tokens", 5), HasSubstr("'query_tokens' has shape [1, 3, 32], the config asks for"));
  EXPECT_THAT(with("/text_config/d_model", 32), HasSubstr("the config asks for"));
  EXPECT_THAT(with("/vision_config/hidden_size", 32), HasSubstr("encoder_hidden_size"));
  EXPECT_THAT(with("/qformer_config/cross_attention_frequency", 2), HasSubstr("'qformer.encoder.layer.1.crossatt"));
  EXPECT_THAT(with("/vision_config/num_hidden_layers", 1), HasSubstr("'vision_model.encoder.layers.1."));
  write_file(folder() / "config.json", config.dump());
  EXPECT_NO_THROW(load_model(folder()));
}

}  // namespace
}  // namespace tessera

#include "io/published_config.h"

#include <gmock/gmock.h>

#include "support/scratch.h"

namespace tessera {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

PublishedConfig config(const std::string& text) { return {Json::parse(text), "config.json"}; }

TEST(PublishedConfig, TheFirstSpellingThatIsThereCounts) {
  EXPECT_EQ(config(R"({"dtype": "a", "torch_dtype": "b"})").get<std::string>("dtype|torch_dtype", ""), "a");
  EXPECT_EQ(config(R"({"torch_dtype": "b"})").get<std::string>("dtype|torch_dtype", ""), "b");
  EXPECT_EQ(config(R"({"dtype": null, "torch_dtype": "b"})").get<std::string>("dtype|torch_dtype", ""), "b");
  EXPECT_EQ(config("{}").get<std::string>("dtype|torch_dtype", "c"), "c");
}

TEST(PublishedConfig, AKeyThatNobodyReadIsAnError) {
  PublishedConfig read = config(R"({"hidden_size": 3, "hidden_sizes": [3], "use_fancy_attention": true})");
  read.get<int64_t>("hidden_size", 0);
  read.ignore({"hidden_sizes"});
  EXPECT_THAT(error_of([&] { read.done(); }), HasSubstr("config.json: unknown key 'use_fancy_attention'"));
  read.get<bool>("use_fancy_attention", false);
  EXPECT_NO_THROW(read.done());
}

TEST(PublishedConfig, BookkeepingKeysPass) {
  EXPECT_NO_THROW(config(R"({"model_type": "vit", "transformers_version": "4.0", "architectures": null})").done());
}

TEST(PublishedConfig, AllSpellingsOfAKeyCountAsRead) {
  PublishedConfig read = config(R"({"a": 1, "b": 2})");
  read.get<int64_t>("a|b", 0);
  EXPECT_NO_THROW(read.done());
}

TEST(PublishedConfig, WrongTypesNameTheKey) {
  EXPECT_THAT(error_of([] { config(R"({"b": "3"})").get<int64_t>("a|b", 0); }),
              HasSubstr("config.json: b: expected an integer"));
  EXPECT_THAT(error_of([] { config("[]"); }), HasSubstr("config.json: expected an object"));
}

TEST(PublishedConfig, ARequiredKeyMustBeThere) {
  EXPECT_EQ(config(R"({"embed_dim": 3})").require<int64_t>("embed_dim|dim"), 3);
  EXPECT_THAT(error_of([] { config("{}").require<int64_t>("embed_dim|dim"); }),
              HasSubstr("config.json: the key 'embed_dim' is missing"));
}

TEST(PublishedConfig, ASizeIsANumberOrAPair) {
  EXPECT_EQ(config(R"({"image_size": 224})").pair("image_size", 0), (std::vector<int64_t>{224, 224}));
  EXPECT_EQ(config(R"({"image_size": [32, 48]})").pair("image_size", 0), (std::vector<int64_t>{32, 48}));
  EXPECT_EQ(config("{}").pair("image_size", 7), (std::vector<int64_t>{7, 7}));
  EXPECT_THAT(error_of([] { config(R"({"image_size": [1, 2, 3]})").pair("image_size", 7); }), HasSubstr("image_size"));
  EXPECT_THROW(config(R"({"image_size": "224"})").pair("image_size", 7), Error);
}

TEST(PublishedConfig, WhatIsNotSupportedMustNotBeAskedFor) {
  EXPECT_NO_THROW(config("{}").expect("position_embedding_type", std::string("absolute")));
  EXPECT_NO_THROW(
      config(R"({"position_embedding_type": "absolute"})").expect("position_embedding_type", std::string("absolute")));
  EXPECT_THAT(
      error_of([] {
        config(R"({"position_embedding_type": "relative"})").expect("position_embedding_type", std::string("absolute"));
      }),
      HasSubstr("'position_embedding_type': \"relative\" is not supported"));
}

TEST(PublishedConfig, NestedConfigsKnowWhereTheyStand) {
  PublishedConfig outer = config(R"({"vision_config": {"hidden_size": "x"}})");
  PublishedConfig inner = outer.nested("vision_config");
  EXPECT_NO_THROW(outer.done());
  EXPECT_THAT(error_of([&] { inner.get<int64_t>("hidden_size", 0); }),
              HasSubstr("config.json: vision_config: hidden_size"));
  EXPECT_NO_THROW(config("{}").nested("vision_config").done());
  EXPECT_NO_THROW(config(R"({"vision_config": null})").nested("vision_config").done());
  EXPECT_THROW(config(R"({"vision_config": 3})").nested("vision_config"), Error);
}

}  // namespace
}  // namespace tessera

#include "io/name_table.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

const NameTable kTable = {{
                              {"[vit.]layer.{n}.attention.{query|key|value}.*", "blocks.{n}.attention.qkv.*[{0|1|2}]"},
                              {"[vit.]layer.{n}.norm_{m}.*", "blocks.{n}.norm{m}.*"},
                              {"[vit.]projection", "projection.weight^T"},
                              {"pooler.*", ""},
                              {"decoder.weight", "words.weight", true},
                              {"words.*", "words.*"},
                          },
                          {{"layer.{n}", "blocks.{n}"}, {"embeddings", "embed"}}};

Place place(const NameTable& table, const std::string& name) {
  const auto found = table.place(name);
  EXPECT_TRUE(found) << name;
  return found.value_or(Place{});
}

TEST(NameTable, NumbersAndTheRestAreCarriedOver) {
  EXPECT_EQ(place(kTable, "vit.layer.11.norm_2.bias").path, "blocks.11.norm2.bias");
  EXPECT_EQ(place(kTable, "words.weight").path, "words.weight");
  EXPECT_FALSE(kTable.place("vit.layer.x.norm_2.bias"));
  EXPECT_FALSE(kTable.place("vit.layer..norm_2.bias"));
  EXPECT_FALSE(kTable.place("vit.layer.1.norm_2."));
  EXPECT_FALSE(kTable.place("other"));
}

TEST(NameTable, AnOptionalPrefixMayBeMissingAndIsWritten) {
  EXPECT_EQ(place(kTable, "layer.0.norm_1.weight").path, "blocks.0.norm1.weight");
  EXPECT_EQ(kTable.published("blocks.0.norm1.weight").at(0).first, "vit.layer.0.norm_1.weight");
}

TEST(NameTable, ChoicesAreThePartsOfOneTensorInTheirOrder) {
  const Place key = place(kTable, "vit.layer.3.attention.key.weight");
  EXPECT_EQ(key.path, "blocks.3.attention.qkv.weight");
  EXPECT_EQ(key.part, 1);
  EXPECT_EQ(key.parts, 3);
  const auto names = kTable.published("blocks.3.attention.qkv.weight");
  ASSERT_EQ(names.size(), 3u);
  EXPECT_EQ(names[0].first, "vit.layer.3.attention.query.weight");
  EXPECT_EQ(names[2].first, "vit.layer.3.attention.value.weight");
  EXPECT_EQ(names[2].second.part, 2);
}

TEST(NameTable, PartsMayHaveSharesOfTheirOwn) {
  const NameTable grouped = {{"{q|k|v}.*", "qkv.*[{0:4|1:1|2:1}]"}};
  const Place value = place(grouped, "v.weight");
  EXPECT_EQ(value.path, "qkv.weight");
  EXPECT_EQ(value.part, 2);
  EXPECT_EQ(value.shares, (std::vector<int64_t>{4, 1, 1}));
  EXPECT_EQ(grouped.published("qkv.bias").at(1).first, "k.bias");
  EXPECT_EQ(grouped.published("qkv.bias").at(1).second.shares, value.shares);
  EXPECT_THROW((NameTable{{"{q|k}", "qk[{0:4|1}]"}}.place("q")), std::logic_error);
}

TEST(NameTable, ATransposeIsRemarkedInBothDirections) {
  EXPECT_TRUE(place(kTable, "vit.projection").transposed);
  EXPECT_EQ(place(kTable, "vit.projection").path, "projection.weight");
  EXPECT_TRUE(kTable.published("projection.weight").at(0).second.transposed);
}

TEST(NameTable, IgnoredTensorsAreKnownAndHaveNoPlace) { EXPECT_EQ(place(kTable, "pooler.dense.weight").path, ""); }

TEST(NameTable, AnAliasIsReadAndNeverWritten) {
  EXPECT_EQ(place(kTable, "decoder.weight").path, "words.weight");
  ASSERT_EQ(kTable.published("words.weight").size(), 1u);
  EXPECT_EQ(kTable.published("words.weight")[0].first, "words.weight");
}

TEST(NameTable, PublishedIsTheInverseOfPlace) {
  for (const char* path : {"blocks.0.attention.qkv.weight", "blocks.12.attention.qkv.bias", "blocks.7.norm1.bias",
                           "projection.weight", "words.weight"}) {
    const auto names = kTable.published(path);
    ASSERT_FALSE(names.empty()) << path;
    for (const auto& [name, where] : names) {
      const Place back = place(kTable, name);
      EXPECT_EQ(back.path, path);
      EXPECT_EQ(back.part, where.part);
      EXPECT_EQ(back.parts, where.parts);
      EXPECT_EQ(back.transposed, where.transposed);
    }
  }
  EXPECT_TRUE(kTable.published("unheard.of").empty());
}

TEST(NameTable, ModulesHaveNamesOfTheirOwn) {
  EXPECT_EQ(kTable.module_path("layer.4"), "blocks.4");
  EXPECT_EQ(kTable.module_path("embeddings"), "embed");
  EXPECT_EQ(kTable.module_path("words"), std::nullopt);
}

TEST(NameTable, WithinMovesBothSides) {
  const NameTable inner = kTable.within("model.vision.", "image.");
  EXPECT_EQ(place(inner, "model.vision.vit.layer.2.norm_1.bias").path, "image.blocks.2.norm1.bias");
  EXPECT_EQ(place(inner, "model.vision.layer.2.norm_1.bias").path, "image.blocks.2.norm1.bias");
  EXPECT_EQ(inner.published("image.blocks.2.norm1.bias").at(0).first, "model.vision.vit.layer.2.norm_1.bias");
  EXPECT_FALSE(inner.place("layer.2.norm_1.bias"));
  EXPECT_EQ(place(inner, "model.vision.pooler.x").path, "") << "what is ignored stays ignored";
  EXPECT_EQ(inner.module_path("model.vision.layer.4"), "image.blocks.4");
  EXPECT_TRUE(place(inner, "model.vision.projection").transposed);
  EXPECT_EQ(place(inner, "model.vision.layer.3.attention.key.weight").part, 1);
}

TEST(NameTable, OfTwoTablesTheFirstDecides) {
  const NameTable both = NameTable{{"head.*", "first.*"}} + NameTable{{"head.*", "second.*"}, {"tail.*", "tail.*"}};
  EXPECT_EQ(place(both, "head.bias").path, "first.bias");
  EXPECT_EQ(place(both, "tail.bias").path, "tail.bias");
  EXPECT_EQ(both.patterns().size(), 3u);
}

TEST(NameTable, TheIdentityIsOneRule) {
  const NameTable same = {{"*", "*"}};
  EXPECT_EQ(place(same, "a.b.c").path, "a.b.c");
  EXPECT_EQ(same.published("a.b.c").at(0).first, "a.b.c");
}

TEST(NameTable, TwoNumbersKeepApart) {
  const NameTable stages = {{"stage.{s}.{b}.weight", "blocks.{b}.of.{s}"}};
  EXPECT_EQ(place(stages, "stage.10.2.weight").path, "blocks.2.of.10");
  EXPECT_EQ(stages.published("blocks.2.of.10").at(0).first, "stage.10.2.weight");
}

TEST(NameTable, ALongNameOfNoRuleIsRefusedQuickly) {
  EXPECT_FALSE(kTable.place(std::string(100000, 'x')));
  EXPECT_FALSE(kTable.place("layer." + std::string(100000, '1')));
}

}  // namespace
}  // namespace tessera

// With --max-memory work is done in smaller pieces, and comes to the same.
#include <gmock/gmock.h>

#include "core/files.h"
#include "core/memory_limit.h"
#include "core/process_memory.h"
#include "layers/prepare.h"
#include "layers/promises.h"
#include "support/scratch.h"
#include "tasks/embed.h"
#include "tasks/generate_text.h"
#include "tasks/tiny_models.h"
#include "text/examples.h"

namespace tessera {
namespace {

constexpr int64_t kEnd = 400;  // of the byte-level tokenizer

/// While it lives, tensors may take so many bytes beside the weights of the model.
struct Limited {
  Limited(const Model& model, int64_t bytes) {
    give_back_freed_memory();
    limit_memory(resident_bytes() + weight_bytes(*model.module) + bytes + (40 << 20));
    enforce_memory_limit(weight_bytes(*model.module));
  }
  ~Limited() { limit_memory(0); }
};

Model byte_model(const std::filesystem::path& folder, const Json& more) {
  Json options = {{"kind", "decoder"}, {"vocabulary", 401}, {"dim", 64}, {"depth", 2}, {"heads", 2}, {"ffn", 128}};
  options.update(more);
  Model model = make_model({{"model_type", "tessera-language-model"}, {"language_model", options}}, "test");
  testing::randomise(*model.module);
  model.tokenizer = std::make_shared<Tokenizer>(parse_tokenizer_json(testing::byte_level_json().dump()));
  save_model(model, folder);
  return load_model(folder);
}

std::vector<std::vector<int64_t>> made_by(const Model& model, const std::vector<std::string>& prompts) {
  TextGenerateOptions options;
  options.decode = {.max_new_tokens = 8, .end_ids = {kEnd}};
  std::vector<std::vector<int64_t>> all;
  TextGenerator(model).generate(prompts, options,
                                {.on_made = [&](const GeneratedText& one) { all.push_back(one.tokens.ids); }});
  return all;
}

TEST(MaxMemory, PromptsInPiecesGiveTheSameTextsWithLearnedAndRotaryPositions) {
  // Of very different lengths, so that whole pieces of some rows are padding.
  const std::vector<std::string> prompts = {std::string(300, 'a') + "b c", "the cat", std::string(150, 'x'), "y"};
  for (const Json& positions : {Json{{"context", 512}}, Json{{"context", 512}, {"positions", "rotary"}}}) {
    const testing::Scratch scratch;
    const Model model = byte_model(scratch.path(), positions);
    const auto free = made_by(model, prompts);
    const Limited limited(model, 64 << 20);
    EXPECT_EQ(made_by(model, prompts), free) << positions;
  }
}

TEST(MaxMemory, APromptThatIsTooLongForTheModelIsAnErrorInPiecesToo) {
  const testing::Scratch scratch;
  const Model model = byte_model(scratch.path(), {{"context", 48}});
  const std::vector<std::string> prompts = {std::string(300, 'x') + " " + std::string(300, 'y')};
  const std::string free = testing::error_of([&] { made_by(model, prompts); });
  const Limited limited(model, 64 << 20);
  EXPECT_FALSE(free.empty());
  EXPECT_FALSE(testing::error_of([&] { made_by(model, prompts); }).empty());
}

TEST(MaxMemory, PicturesAreEncodedInSmallerBatchesWhereTheGivenOneDoesNotFit) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers hold memory of their own, and what was freed";
#endif
  const testing::Scratch scratch;
  const Model model = testing::tower_model(scratch / "model");
  std::vector<PictureInput> inputs;
  for (size_t i = 0; i < 6; ++i) {
    const std::string bytes = testing::png_of({static_cast<uint8_t>(40 * i), 100, 7});
    write_file(scratch / (std::to_string(i) + ".png"), bytes);
    inputs.push_back({(scratch / (std::to_string(i) + ".png")).string()});
  }
  const ImageEmbedder embedder(model);
  // What stands for an encoder's working set: 10 MB a picture.
  const auto fed = [&] {
    std::vector<std::pair<size_t, Tensor>> rows;
    feed_pictures(embedder.processor(), inputs, {.batch = 6}, [&](const PictureBatch& batch) {
      const Tensor working = torch::zeros({static_cast<int64_t>(batch.indices.size()), 10 << 20}, torch::kUInt8);
      const Tensor vectors = embedder.embed(batch.pictures.pixel_values);
      for (size_t i = 0; i < batch.indices.size(); ++i)
        rows.emplace_back(batch.indices[i], vectors[static_cast<int64_t>(i)]);
    });
    return rows;
  };
  const auto free = fed();
  const Limited limited(model, 25 << 20);
  const auto found = fed();
  ASSERT_EQ(found.size(), 6U) << "each picture once";
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(found[i].first, i);
    EXPECT_TRUE(found[i].second.allclose(free[i].second, 1e-5, 1e-5));
  }
}

TEST(MaxMemory, WhatDoesNotFitAloneIsRefused) {
  const testing::Scratch scratch;
  const Model model = testing::tower_model(scratch / "model");
  write_file(scratch / "a.png", testing::png_of({1, 2, 3}));
  const std::vector<PictureInput> inputs = {{(scratch / "a.png").string()}};
  const Limited limited(model, 25 << 20);
  const auto take = [](const PictureBatch&) { torch::zeros({100 << 20}, torch::kUInt8); };
  EXPECT_THAT(testing::error_of([&] { feed_pictures(*model.processor, inputs, {}, take); }),
              ::testing::HasSubstr("needs at least"));
}

}  // namespace
}  // namespace tessera

#include "tasks/embed.h"

#include <gmock/gmock.h>

#include "core/files.h"
#include "encoders/classifier.h"
#include "encoders/vit.h"
#include "layers/promises.h"
#include "support/scratch.h"
#include "tasks/tiny_models.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::distance;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using testing::png_of;

class Embed : public ::testing::Test {
 protected:
  /// Writes a picture and gives it as an input.
  PictureInput picture(const std::string& name, const std::string& bytes) const {
    write_file(scratch_ / name, bytes);
    return {(scratch_ / name).string()};
  }
  /// Pictures that differ in every pixel.
  std::vector<PictureInput> noise(size_t count) const {
    std::vector<PictureInput> inputs;
    for (size_t i = 0; i < count; ++i) {
      Image image(16, 16, 3);
      for (size_t k = 0; k < image.pixels.size(); ++k) image.pixels[k] = static_cast<uint8_t>(k * k * (7 + i) % 251);
      const auto png = encode_png(image);
      inputs.push_back(picture("noise" + std::to_string(i) + ".png", {png.begin(), png.end()}));
    }
    return inputs;
  }
  static Tensor embed_all(const Model& model, std::span<const PictureInput> inputs, int64_t batch) {
    const ImageEmbedder embedder(model);
    std::vector<Tensor> rows;
    feed_pictures(embedder.processor(), inputs, {.batch = batch},
                  [&](const PictureBatch& part) { rows.push_back(embedder.embed(part.pictures.pixel_values)); });
    return torch::cat(rows);
  }
  /// The mean colour of a picture, as a model of colours sees it.
  std::vector<float> colour(const Model& model, const std::string& bytes) const {
    const Tensor vector = embed_all(model, std::vector{picture("one", bytes)}, 1)[0];
    return {vector[0].item<float>(), vector[1].item<float>(), vector[2].item<float>()};
  }

  testing::Scratch scratch_;
};

/// Feeds pictures and notes the indices of the batches and of the bad ones.
struct Fed {
  std::vector<std::vector<size_t>> batches;
  std::vector<size_t> bad;
  std::string error;
};

Fed feed(const ImageProcessor& processor, std::span<const PictureInput> inputs, int64_t batch, bool skip) {
  Fed fed;
  FeedOptions options{.batch = batch};
  if (skip) options.bad = [&](size_t index, const Error&) { fed.bad.push_back(index); };
  try {
    feed_pictures(processor, inputs, options, [&](const PictureBatch& part) { fed.batches.push_back(part.indices); });
  } catch (const Error& error) {
    fed.error = error.what();
  }
  return fed;
}

/// With the size and the tiles of each picture, by which LLaVA-NeXT puts it together.
TEST_F(Embed, ABatchIsWhatTheProcessorMakesOfItsPicturesTogether) {
  const Json config = {{"image_processor_type", "LlavaNextImageProcessor"},
                       {"size", {{"shortest_edge", 16}}},
                       {"crop_size", {{"height", 16}, {"width", 16}}},
                       {"image_grid_pinpoints", {{16, 32}, {32, 16}}}};
  write_file(scratch_ / "preprocessor_config.json", config.dump());
  const ImageProcessor processor = ImageProcessor::load((scratch_ / "preprocessor_config.json").string());
  const auto inputs = noise(3);
  std::vector<Image> images;
  for (const auto& input : inputs) {
    const std::string bytes = read_input(input);
    images.push_back(decode_image(Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), input.name));
  }
  const ImageBatch wanted = processor(images);
  ImageBatch got;
  feed_pictures(processor, inputs, {.batch = 3}, [&](const PictureBatch& part) { got = part.pictures; });
  EXPECT_TRUE(torch::equal(got.pixel_values, wanted.pixel_values));
  EXPECT_TRUE(torch::equal(got.image_sizes, wanted.image_sizes));
  EXPECT_EQ(got.tiles, wanted.tiles);
  EXPECT_EQ(got.tiles.size(), 3U);
}

TEST_F(Embed, ABatchEqualsOneByOne) {
  const Model model = testing::tower_model(scratch_ / "model");
  const auto inputs = noise(7);
  const Tensor single = embed_all(model, inputs, 1);  // 7 x 10
  ASSERT_EQ(single.sizes(), (std::vector<int64_t>{7, 10}));
  for (const int64_t batch : {2, 3, 7, 32}) EXPECT_LT(distance(embed_all(model, inputs, batch), single), 1e-5) << batch;
  EXPECT_GT((single[0] - single[1]).abs().max().item<double>(), 1e-2) << "the pictures are told apart";
}

TEST_F(Embed, VectorsKeepTheirLength) {
  const Model model = testing::colour_model(scratch_ / "model");
  EXPECT_THAT(colour(model, png_of({51, 102, 0})), ElementsAre(FloatEq(0.2F), FloatEq(0.4F), FloatEq(0)));
  const Tensor dim = TextEmbedder(model).embed(std::vector<std::string>{"dim"});
  EXPECT_FLOAT_EQ(dim[0][0].item<float>(), 0.1F);
}

TEST_F(Embed, NothingKeepsAGradient) {
  const Model model = testing::tower_model(scratch_ / "model");
  EXPECT_FALSE(embed_all(model, noise(1), 1).requires_grad());
  EXPECT_FALSE(TextEmbedder(model).embed(std::vector<std::string>{"red"}).requires_grad());
}

TEST_F(Embed, PicturesWithAlphaLieOnWhite) {
  const Model model = testing::colour_model(scratch_ / "model");
  EXPECT_THAT(colour(model, png_of({0, 0, 0, 0})), ElementsAre(FloatEq(1), FloatEq(1), FloatEq(1)));
  EXPECT_THAT(colour(model, png_of({255, 0, 0, 255})), ElementsAre(FloatEq(1), FloatEq(0), FloatEq(0)));
  const auto half = colour(model, png_of({255, 0, 0, 128}));
  EXPECT_NEAR(half[0], 1, 1e-6);
  EXPECT_NEAR(half[1], 0.5, 0.01);
  EXPECT_NEAR(half[2], 0.5, 0.01);
}

TEST_F(Embed, DrawingsAreSharpWhateverSizeTheyState) {
  const Model model = testing::colour_model(scratch_ / "model");
  const std::string svg =
      "<svg xmlns='http://www.w3.org/2000/svg' width='2' height='2' viewBox='0 0 8 8'>"
      "<path fill='#f00' d='M0 0h1v8H0z'/><path fill='#00f' d='M1 0h7v8H1z'/></svg>";
  const Bytes bytes(reinterpret_cast<const uint8_t*>(svg.data()), svg.size());
  const Tensor pixels = prepare_picture(*model.processor, bytes, "stripe.svg");  // 3 x 8 x 8
  EXPECT_GT(pixels[0][4][0].item<float>(), 0.8F) << "the red column is one pixel wide";
  EXPECT_LT(pixels[0][4][2].item<float>(), 0.2F);
  EXPECT_GT(pixels[2][4][2].item<float>(), 0.8F);
}

TEST_F(Embed, ABadPictureIsNamedAfterThoseBeforeItWereAnswered) {
  const Model model = testing::colour_model(scratch_ / "model");
  auto inputs = noise(4);
  inputs.insert(inputs.begin() + 2, picture("broken.png", png_of({1, 2, 3}).substr(0, 40)));
  for (const int64_t batch : {1, 2, 3, 5, 32}) {
    const Fed fed = feed(*model.processor, inputs, batch, false);
    EXPECT_THAT(fed.error, HasSubstr("broken.png")) << batch;
    std::vector<size_t> answered;
    for (const auto& part : fed.batches) answered.insert(answered.end(), part.begin(), part.end());
    EXPECT_THAT(answered, ElementsAre(0, 1)) << batch;
  }
  inputs[2].name = (scratch_ / "gone.png").string();
  EXPECT_THAT(feed(*model.processor, inputs, 3, false).error, HasSubstr("gone.png"));
}

TEST_F(Embed, TheBadCallbackLeavesAPictureOutAndGoesOn) {
  const Model model = testing::colour_model(scratch_ / "model");
  auto inputs = noise(4);
  inputs.insert(inputs.begin(), picture("empty.png", ""));
  inputs.insert(inputs.begin() + 3, picture("text.jpg", "no picture"));
  for (const int64_t batch : {1, 2, 4, 32}) {
    const Fed fed = feed(*model.processor, inputs, batch, true);
    EXPECT_EQ(fed.error, "");
    EXPECT_THAT(fed.bad, ElementsAre(0, 3)) << batch;
    std::vector<size_t> answered;
    for (const auto& part : fed.batches) answered.insert(answered.end(), part.begin(), part.end());
    EXPECT_THAT(answered, ElementsAre(1, 2, 4, 5)) << batch;
  }
}

TEST_F(Embed, PicturesOfOtherSizesAreBatchesOfTheirOwn) {
  ImageProcessorOptions options;
  options.kind = "CLIP";
  options.size_rule = SizeRule::kShortestEdge;
  options.shortest_edge = 8;
  std::vector<PictureInput> inputs;
  for (const auto& [height, width] : {std::pair{8, 16}, {16, 32}, {16, 8}, {8, 8}}) {
    const auto png = encode_png(Image(height, width, 3));
    inputs.push_back(picture("size" + std::to_string(inputs.size()) + ".png", {png.begin(), png.end()}));
  }
  EXPECT_THAT(feed(ImageProcessor(options), inputs, 4, false).batches,
              ElementsAre(ElementsAre(0, 1), ElementsAre(2), ElementsAre(3)));
}

TEST_F(Embed, ABatchHoldsAtLeastOnePicture) {
  const Model model = testing::colour_model(scratch_ / "model");
  EXPECT_THAT(feed(*model.processor, noise(1), 0, true).error, HasSubstr("--batch: must be at least 1"));
}

TEST_F(Embed, AClassifierGivesWhatItsClassifierReads) {
  const Model model = testing::classifier_model(scratch_ / "model", {"cat", "dog", "fish"});
  const ImageEmbedder embedder(model);
  const Tensor pixels = torch::randn({2, 3, 16, 16});
  const Tensor features = embedder.embed(pixels);
  ASSERT_EQ(features.sizes(), (std::vector<int64_t>{2, 16}));
  const torch::NoGradGuard no_gradient;
  auto& classifier = model.as<ImageClassifier>("test");
  const auto weights = classifier.named_parameters();
  const Tensor logits = torch::linear(features, weights["head.weight"], weights["head.bias"]);
  EXPECT_LT(distance(logits, classifier.forward(pixels)), 1e-5);
}

TEST_F(Embed, ABareEncoderGivesItsClassTokenElseTheMean) {
  const torch::NoGradGuard no_gradient;
  for (const bool class_token : {true, false}) {
    const auto vit = std::make_shared<Vit>(VitOptions{
        .image = {16, 16}, .patch = {8, 8}, .dim = 16, .depth = 1, .heads = 2, .ffn = 24, .class_token = class_token});
    testing::randomise(*vit);
    vit->eval();
    Model model;
    model.module = vit;
    model.processor = testing::colour_model(scratch_ / "model").processor;
    const Tensor pixels = torch::randn({2, 3, 16, 16}), tokens = vit->forward(pixels).x;
    const Tensor wanted = class_token ? tokens.select(1, 0) : tokens.mean(1);
    EXPECT_LT(distance(ImageEmbedder(model).embed(pixels), wanted), 1e-6) << class_token;
  }
}

TEST_F(Embed, WhatAModelLacksIsSaid) {
  Model model = testing::colour_model(scratch_ / "model");
  model.processor = nullptr;
  EXPECT_THAT(error_of([&] { ImageEmbedder{model}; }), HasSubstr("holds no image processor"));
  model.tokenizer = nullptr;
  EXPECT_THAT(error_of([&] { TextEmbedder{model}; }), HasSubstr("ships no tokenizer"));
  const Model classifier = testing::classifier_model(scratch_ / "classifier", {"cat"});
  EXPECT_THAT(error_of([&] { TextEmbedder{classifier}; }), HasSubstr("'vit' cannot turn texts into vectors"));
  Model blind;
  blind.family = "table";
  blind.module = std::make_shared<Linear>(2, 2);
  EXPECT_THAT(error_of([&] { ImageEmbedder{blind}; }), HasSubstr("'table' cannot turn pictures into vectors"));
}

TEST_F(Embed, ANumberThatIsNotFiniteIsNamedByItsTensor) {
  testing::tower_model(scratch_ / "model");
  for (const std::string name : {"image.patch.bias", "text.norm.bias"}) {
    std::vector<std::pair<std::string, Tensor>> tensors;
    {
      const Checkpoint checkpoint = Checkpoint::open(scratch_ / "model");
      for (const auto& item : checkpoint.tensors())
        tensors.emplace_back(item.first, checkpoint.tensor(item.first).clone());
    }
    for (auto& [key, tensor] : tensors)
      if (key == name) tensor[3] = std::numeric_limits<float>::quiet_NaN();
    fs::create_directories(scratch_ / name);
    for (const char* file : {"config.json", "preprocessor_config.json", "tokenizer.json"})
      fs::copy(scratch_ / "model" / file, scratch_ / name / file);
    save_checkpoint(scratch_ / name / "model.safetensors", tensors);
    const Model model = load_model(scratch_ / name);
    const auto embed_image = [&] { ImageEmbedder(model).embed(torch::zeros({1, 3, 16, 16})); };
    const auto embed_text = [&] { TextEmbedder(model).embed(std::vector<std::string>{"red"}); };
    const bool image = name.starts_with("image");
    EXPECT_THAT(image ? error_of(embed_image) : error_of(embed_text),
                AllOf(HasSubstr("'" + name + "'"), HasSubstr("NaN or infinity")));
    EXPECT_NO_THROW(image ? embed_text() : embed_image()) << "the other tower is whole";
  }
}

TEST_F(Embed, AnInputThatOverflowsIsToldFromBadWeights) {
  const Model model = testing::colour_model(scratch_ / "model");
  const Tensor pixels = torch::full({1, 3, 8, 8}, std::numeric_limits<float>::infinity());
  EXPECT_THAT(error_of([&] { ImageEmbedder(model).embed(pixels); }), HasSubstr("though the weights are finite"));
}

TEST_F(Embed, TextsOfABatchEqualOneByOne) {
  const Model model = testing::tower_model(scratch_ / "model");
  const TextEmbedder embedder(model);
  const std::vector<std::string> texts = {"red", "red green blue white dim", "green scarlet", "nonsense", "blue"};
  std::vector<Tensor> single;
  for (const auto& text : texts) single.push_back(embedder.embed(std::span(&text, 1)));
  for (const int64_t batch : {1, 2, 5, 32})
    EXPECT_LT(distance(embedder.embed(texts, {.batch = batch}), torch::cat(single)), 1e-5) << batch;
}

TEST_F(Embed, ATextIsTheMeanOfItsWords) {
  const Model model = testing::colour_model(scratch_ / "model");
  const Tensor vectors = TextEmbedder(model).embed(std::vector<std::string>{"red green", "blue"});
  EXPECT_LT(distance(vectors, torch::tensor({{0.5F, 0.5F, 0.0F}, {0.0F, 0.0F, 1.0F}})), 1e-6);
}

TEST_F(Embed, ATextThatIsTooLongIsAnErrorUnlessItMayBeCut) {
  const Model model = testing::colour_model(scratch_ / "model");
  const TextEmbedder embedder(model);
  const std::vector<std::string> eight = {"red red red red red red red red"}, nine = {eight[0] + " blue"};
  EXPECT_NO_THROW(embedder.embed(eight));
  EXPECT_THAT(error_of([&] { embedder.embed(nine); }),
              AllOf(HasSubstr("is 9 tokens long, the model reads 8"), HasSubstr("red red"), HasSubstr("--truncate")));
  EXPECT_TRUE(embedder.embed(nine, {.truncate = true}).equal(embedder.embed(eight)));
}

TEST_F(Embed, ATextWithoutTokensIsAnError) {
  const Model model = testing::colour_model(scratch_ / "model");
  EXPECT_THAT(error_of([&] {
                TextEmbedder(model).embed(std::vector<std::string>{"red", ""});
              }),
              HasSubstr("text '': gives no tokens"));
  EXPECT_THAT(error_of([&] { TextEmbedder(model).embed({}); }), HasSubstr("there are no texts"));
}

TEST_F(Embed, AModelThatReadsTheLastPositionGetsAllPositions) {
  Model model = testing::colour_model(scratch_ / "model");
  const TextBatch trimmed = TextEmbedder(model).tokenize(std::vector<std::string>{"red", "red blue"});
  EXPECT_EQ(trimmed.ids.sizes(), (std::vector<int64_t>{2, 2}));
  EXPECT_TRUE(trimmed.mask.equal(torch::tensor({{true, false}, {true, true}})));
  Json options = model.config["dual_encoder"];
  options["text_pool"] = "last";
  model.module = make_dual_encoder(options, "test");
  const TextBatch filled = TextEmbedder(model).tokenize(std::vector<std::string>{"red", "red blue"});
  EXPECT_EQ(filled.ids.sizes(), (std::vector<int64_t>{2, 8}));
  EXPECT_FALSE(filled.mask.defined());
}

}  // namespace
}  // namespace tessera

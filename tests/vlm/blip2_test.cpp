// BLIP-2, InstructBLIP and Florence-2 as assembled from published configs.
#include <gmock/gmock.h>

#include <set>

#include "language/encoder_decoder.h"
#include "layers/family.h"
#include "layers/promises.h"
#include "support/scratch.h"
#include "vlm/prompt_tokenizer.h"
#include "vlm/vision_language.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using ::testing::HasSubstr;

constexpr double kNear = 2e-5;
constexpr int64_t kPlace = 49, kQueries = 3;

const Json kVision = {{"hidden_size", 16},        {"intermediate_size", 20}, {"num_hidden_layers", 1},
                      {"num_attention_heads", 2}, {"image_size", 16},        {"patch_size", 8}};
const Json kFormer = {{"hidden_size", 12},         {"num_hidden_layers", 2},  {"num_attention_heads", 3},
                      {"intermediate_size", 16},   {"vocab_size", 30},        {"max_position_embeddings", 8},
                      {"encoder_hidden_size", 16}, {"hidden_dropout_prob", 0}};
const Json kOpt = {{"model_type", "opt"}, {"vocab_size", 50},         {"hidden_size", 16},
                   {"ffn_dim", 20},       {"num_hidden_layers", 1},   {"num_attention_heads", 2},
                   {"dropout", 0},        {"word_embed_proj_dim", 16}};
const Json kT5 = {{"model_type", "t5"}, {"vocab_size", 50}, {"d_model", 16},  {"d_kv", 8},
                  {"d_ff", 20},         {"num_layers", 1},  {"num_heads", 2}, {"dropout_rate", 0}};
const Json kLlama = {
    {"model_type", "llama"},  {"vocab_size", 50},         {"hidden_size", 16},        {"intermediate_size", 20},
    {"num_hidden_layers", 1}, {"num_attention_heads", 2}, {"num_key_value_heads", 2}, {"max_position_embeddings", 64}};

Json blip2(const Json& text, const std::string& type = "blip-2") {
  return {{"model_type", type},  {"vision_config", kVision},     {"qformer_config", kFormer},
          {"text_config", text}, {"num_query_tokens", kQueries}, {"image_token_index", kPlace}};
}

Json florence2() {
  const Json vision = {{"embed_dim", {8, 12}},    {"depths", {1, 1}},     {"num_heads", {2, 2}},
                       {"num_groups", {2, 3}},    {"patch_size", {7, 3}}, {"patch_stride", {4, 2}},
                       {"patch_padding", {3, 1}}, {"window_size", 3},     {"patch_prenorm", {false, true}},
                       {"projection_dim", 16},    {"drop_path_rate", 0},  {"max_position_embeddings", 5},
                       {"mlp_ratio", 2}};
  const Json text = {
      {"model_type", "bart"},         {"vocab_size", 50},      {"d_model", 16},       {"encoder_layers", 1},
      {"encoder_attention_heads", 2}, {"encoder_ffn_dim", 20}, {"decoder_layers", 1}, {"decoder_attention_heads", 2},
      {"decoder_ffn_dim", 20},        {"dropout", 0}};
  return {{"model_type", "florence2"}, {"vision_config", vision}, {"text_config", text}, {"image_token_id", kPlace}};
}

/// Florence-2's config as it was first published.
Json first_florence2() {
  Json config = florence2();
  config.erase("image_token_id");
  Json& vision = config["vision_config"];
  vision["dim_embed"] = vision["embed_dim"];
  vision["image_pos_embed"] = {{"type", "learned_abs_2d"}, {"max_pos_embeddings", 5}};
  vision["visual_temporal_embedding"] = {{"type", "COSINE"}, {"max_temporal_embeddings", 4}};
  vision["image_feature_source"] = {"temporal_avg_pool", "last_frame"};
  vision["model_type"] = "davit";
  vision.erase("embed_dim");
  vision.erase("max_position_embeddings");
  return config;
}

struct Subject {
  std::string name;
  Json config;
  int64_t places;  ///< tokens of one picture
};

std::vector<Subject> subjects() {
  return {{"blip2-opt", blip2(kOpt), kQueries},
          {"blip2-t5", blip2(kT5), kQueries},
          {"instructblip-llama", blip2(kLlama, "instructblip"), kQueries},
          {"instructblip-t5", blip2(kT5, "instructblip"), kQueries},
          {"florence2", florence2(), 5}};
}

std::shared_ptr<VisionLanguage> made(const Json& config) {
  const auto model = std::dynamic_pointer_cast<VisionLanguage>(assemble(config, "config.json").module);
  testing::randomise(*model, 0.4);
  model->eval();
  return model;
}

bool reads_instruction(const Subject& subject) { return subject.config["model_type"] == "instructblip"; }

/// Pictures, and as many texts of four words that begin with a picture's places.
MultimodalBatch batch_of(const Subject& subject, int64_t pictures = 2) {
  at::manual_seed(41);
  MultimodalBatch batch;
  batch.pictures.pixel_values = torch::randn({2, 3, 16, 16}).narrow(0, 0, pictures);
  const Tensor words = torch::randint(3, 40, {2, 4}, torch::kInt64).narrow(0, 0, pictures);
  batch.text.ids = torch::cat({torch::full({pictures, subject.places}, kPlace, torch::kInt64), words}, 1);
  if (reads_instruction(subject))
    batch.instruction.ids = torch::randint(0, 30, {2, 3}, torch::kInt64).narrow(0, 0, pictures);
  return batch;
}

/// The logits of some ids after the prompt.
Tensor answer(VisionLanguage& model, const MultimodalBatch& batch, const std::vector<int64_t>& pieces = {5}) {
  MultimodalPrompt prompt = model.begin(batch);
  std::vector<Tensor> logits = {model.logits(model.hidden(prompt.tokens, &prompt.state).x)};
  at::manual_seed(42);
  const Tensor ids = torch::randint(3, 40, {2, 5}, torch::kInt64).narrow(0, 0, batch.text.ids.size(0));
  int64_t at = 0;
  for (const int64_t length : pieces) {
    logits.push_back(model.forward({ids.narrow(1, at, length), {}, {}}, &prompt.state));
    at += length;
  }
  return torch::cat(logits, 1);
}

TEST(PublishedVisionLanguage, SpecialTokensStandBetweenPictureAndText) {
  const std::string prompt = "<image><image>a b";
  const std::vector<TextSpan> places = {{0, 7}, {7, 14}, {0, 0}, {14, 15}, {16, 17}};
  for (const Json& config : {blip2(kOpt), florence2()})
    for (const int64_t known : {kPlace, int64_t{-1}}) {  // places that stand first need no token
      const Encoding made_of = made(config)->prompt_ids(prompt, testing::prompt_tokenizer(known));
      EXPECT_EQ(made_of.ids, (std::vector<int64_t>{kPlace, kPlace, 1, 3, 4}));
      EXPECT_EQ(made_of.offsets, places) << "bytes of the whole prompt";
      EXPECT_EQ(made_of.special, (std::vector<bool>{false, false, true, false, false}));
      for (const size_t size : {made_of.type_ids.size(), made_of.attention_mask.size(), made_of.tokens.size()})
        EXPECT_EQ(size, made_of.size());
    }
  EXPECT_EQ(made(first_florence2())->prompt_ids("a b", testing::prompt_tokenizer(-1)).ids,
            (std::vector<int64_t>{1, 3, 4}));
}

TEST(PublishedVisionLanguage, EachFamilyIsAskedInItsManner) {
  const auto replaces = made(blip2(kOpt)), instructs = made(blip2(kOpt, "instructblip")), locates = made(florence2());
  EXPECT_EQ(replaces->question_prompt("Who?", 1), "<image>Question: Who? Answer:");
  EXPECT_EQ(replaces->caption_prompt({}, 1), "<image>");
  EXPECT_EQ(instructs->question_prompt("Who?", 1), "<image>Who?");
  EXPECT_EQ(instructs->caption_prompt({"de", "German"}, 1), "<image>Describe this picture in German.");
  EXPECT_EQ(locates->question_prompt("<OCR>", 1), "<image>What is the text in the image?");
  EXPECT_EQ(locates->caption_prompt({}, 1), "<image>What does the image describe?");
  EXPECT_EQ(made(first_florence2())->caption_prompt({}, 1), "What does the image describe?");
  for (const auto& english : {replaces, locates})
    EXPECT_THAT(error_of([&] { english->caption_prompt({"de", "German"}, 1); }), HasSubstr("not in German"));
}

TEST(PublishedVisionLanguage, AnAnswerInPiecesIsTheAnswerAtOnce) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects()) {
    const auto model = made(subject.config);
    const MultimodalBatch batch = batch_of(subject);
    const Tensor whole = answer(*model, batch);
    EXPECT_LT(distance(answer(*model, batch, {1, 3, 1}), whole), kNear) << subject.name;
    EXPECT_GT(whole.std().item<double>(), 0.01) << subject.name;
  }
}

TEST(PublishedVisionLanguage, ARowDoesNotDependOnTheOthers) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects()) {
    const auto model = made(subject.config);
    EXPECT_LT(distance(answer(*model, batch_of(subject, 1)), answer(*model, batch_of(subject)).narrow(0, 0, 1)), kNear)
        << subject.name;
  }
}

TEST(PublishedVisionLanguage, ThePictureMatters) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects()) {
    const auto model = made(subject.config);
    MultimodalBatch batch = batch_of(subject);
    const Tensor before = answer(*model, batch);
    batch.pictures.pixel_values = batch.pictures.pixel_values.flip(0);
    EXPECT_GT(distance(answer(*model, batch), before), 1e-4) << subject.name;
  }
}

TEST(PublishedVisionLanguage, PaddingOfTheTextChangesNothing) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects()) {
    const auto model = made(subject.config);
    const MultimodalBatch alone = batch_of(subject);
    const Tensor prompt_logits = answer(*model, alone), zeros = torch::zeros({2, 2}, torch::kInt64),
                 ones = torch::ones_like(alone.text.ids);
    MultimodalBatch padded = alone;
    padded.text.ids = torch::cat({zeros, alone.text.ids}, 1);
    padded.text.mask = torch::cat({zeros, ones}, 1);
    const Tensor logits = answer(*model, padded);
    EXPECT_LT(distance(logits.narrow(1, logits.size(1) - 6, 6), prompt_logits.narrow(1, prompt_logits.size(1) - 6, 6)),
              kNear)
        << subject.name;
  }
}

TEST(PublishedVisionLanguage, GradientsReachEveryParameter) {
  for (const Subject& subject : subjects()) {
    const auto model = made(subject.config);
    // The text's rows of the Q-Former's last layer go nowhere.
    for (auto& item : model->named_parameters())
      if (item.key().starts_with("bridge.former.layers.1.text.")) item.value().requires_grad_(false);
    testing::expect_gradients(*model, answer(*model, batch_of(subject)));
  }
}

TEST(PublishedVisionLanguage, PlacesAndPicturesMustAgree) {
  for (const Subject& subject : subjects()) {
    const auto model = made(subject.config);
    MultimodalBatch batch = batch_of(subject);
    batch.text.ids = batch.text.ids.narrow(1, 1, batch.text.ids.size(1) - 1);  // a place is missing
    EXPECT_THROW(model->begin(batch), Error) << subject.name;
    batch = batch_of(subject);
    batch.text.ids = batch.text.ids.narrow(1, subject.places, 4);  // a text alone
    EXPECT_THROW(model->begin(batch), Error) << subject.name;
    batch = batch_of(subject);
    batch.pictures.pixel_values = batch.pictures.pixel_values.narrow(0, 0, 1);
    batch.instruction = {};
    EXPECT_THROW(model->begin(batch), Error) << subject.name;
  }
}

TEST(Blip2, WithoutAPlaceholderThePictureStandsBeforeTheText) {
  const torch::NoGradGuard no_grad;
  for (const Json& text : {kOpt, kT5}) {
    Json config = blip2(text);
    const auto replaces = made(config);
    config["image_token_index"] = nullptr;
    const auto prepends = made(config);
    const Subject subject{"", blip2(text), kQueries};
    MultimodalBatch batch = batch_of(subject);
    const Tensor expected = answer(*replaces, batch);
    batch.text.ids = batch.text.ids.narrow(1, kQueries, 4);
    EXPECT_LT(distance(answer(*prepends, batch), expected), kNear);
  }
}

TEST(Blip2, PartsThatDisagreeAreAnError) {
  const auto with = [](const char* path, const Json& value) {
    Json config = blip2(kOpt);
    config[Json::json_pointer(path)] = value;
    return error_of([&] { made(config); });
  };
  EXPECT_THAT(with("/qformer_config/encoder_hidden_size", 24), HasSubstr("width 24, the vision model makes 16"));
  EXPECT_THAT(with("/use_decoder_only_language_model", false), HasSubstr("use_decoder_only_language_model"));
  EXPECT_THAT(with("/text_config/model_type", "vit"), HasSubstr("text_config"));
  EXPECT_THAT(with("/qformer_config/use_qformer_text_input", true), HasSubstr("use_qformer_text_input"));
  EXPECT_THAT(with("/vision_config/patches", 3), HasSubstr("unknown key 'patches'"));
}

TEST(InstructBlip, AnInstructionIsNeededAndOnlyThere) {
  const auto instructed = made(blip2(kLlama, "instructblip")), plain = made(blip2(kOpt));
  MultimodalBatch batch = batch_of({"", blip2(kOpt), kQueries});
  EXPECT_THAT(error_of([&] { instructed->begin(batch); }), HasSubstr("an instruction is missing"));
  batch.instruction.ids = torch::zeros({2, 3}, torch::kInt64);
  EXPECT_THAT(error_of([&] { plain->begin(batch); }), HasSubstr("reads none"));
}

TEST(Florence2, TheFirstFilesPutThePictureBeforeTheText) {
  const torch::NoGradGuard no_grad;
  const auto model = made(first_florence2());
  MultimodalBatch batch = batch_of({"", florence2(), 0});
  const MultimodalPrompt prompt = model->begin(batch);
  EXPECT_EQ(prompt.tokens.x.size(1), 1) << "the token that the decoder begins with";
  EXPECT_EQ(model->picture_tokens(batch)[0].size(0), 4 + 4);
  EXPECT_GT(answer(*model, batch).std().item<double>(), 0.01);
}

TEST(Florence2, TheFirstFilesNameEveryParameter) {
  for (const Json& config : {florence2(), first_florence2()}) {
    const Assembly assembly = assemble(config, "config.json");
    std::set<std::string> written;
    for (const auto& list : {assembly.module->named_parameters(), assembly.module->named_buffers()})
      for (const auto& item : list) {
        const auto published = assembly.names.published(item.key());
        EXPECT_FALSE(published.empty()) << item.key();
        for (const auto& [name, place] : published) {
          EXPECT_TRUE(written.insert(name).second) << name;
          EXPECT_EQ(assembly.names.place(name)->path, item.key());
        }
      }
    const bool first = config["vision_config"].contains("dim_embed");
    for (const char* name : {"image_projection", "language_model.final_logits_bias", "vision_tower.convs.1.proj.weight",
                             "language_model.model.shared.weight"})
      EXPECT_EQ(written.contains(name), first) << name;
  }
}

TEST(Florence2, ConvertedFilesMayCarryTheFirstKeysToo) {
  Json config = florence2();
  const Json first = first_florence2()["vision_config"];
  for (const auto& [key, value] : first.items())
    if (!config["vision_config"].contains(key)) config["vision_config"][key] = value;
  EXPECT_EQ(made(config)->options().join, "replace");
}

TEST(Florence2, PartsThatDisagreeAreAnError) {
  const auto with = [](Json config, const char* path, const Json& value) {
    config[Json::json_pointer(path)] = value;
    return error_of([&] { made(config); });
  };
  EXPECT_THAT(with(florence2(), "/vision_config/projection_dim", 24),
              HasSubstr("width 24, the language model reads 16"));
  EXPECT_THAT(with(florence2(), "/vision_config/depths", Json{1}), HasSubstr("different lengths"));
  EXPECT_THAT(with(first_florence2(), "/vision_config/image_pos_embed/type", "sine"), HasSubstr("type"));
  EXPECT_THAT(with(first_florence2(), "/vision_config/image_feature_source", Json{"first_frame"}),
              HasSubstr("first_frame"));
}

}  // namespace
}  // namespace tessera

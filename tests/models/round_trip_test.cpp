// What is loaded and saved is what was there.
#include <gmock/gmock.h>

#include "encoders/classifier.h"
#include "fusion/dual_encoder.h"
#include "layers/promises.h"
#include "models/folders.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using testing::golden_models;
using testing::Named;
using testing::Scratch;

class GoldenModel : public ::testing::TestWithParam<std::pair<const std::string, fs::path>> {
 protected:
  const fs::path& golden() const { return GetParam().second; }
  Scratch scratch;
};

TEST_P(GoldenModel, SavingAndLoadingAgainChangesNoByte) {
  testing::publish(golden(), scratch / "published");
  const Model model = load_model(scratch / "published");
  save_model(model, scratch / "saved");
  testing::expect_same_tensors(golden() / "model.safetensors", scratch / "saved/model.safetensors");
  const Model again = load_model(scratch / "saved");
  EXPECT_EQ(again.family, model.family);
  EXPECT_EQ(again.config, model.config);
  save_model(again, scratch / "twice");
  EXPECT_EQ(read_file(scratch / "saved/model.safetensors"), read_file(scratch / "twice/model.safetensors"));
  EXPECT_EQ(read_file(scratch / "saved/config.json"), read_file(scratch / "twice/config.json"));
}

TEST(Config, PythonsInfinityIsNoLimit) {
  Scratch scratch;
  const fs::path golden = golden_models().at("mamba2/clamp_bias_tied");
  testing::publish(golden, scratch / "model");
  std::string text = read_file(scratch / "model/config.json");
  const size_t begin = text.find('[', text.find("time_step_limit"));
  text.replace(begin, text.find(']', begin) - begin, "[0.0, Infinity");
  write_file(scratch / "model/config.json", text);
  EXPECT_EQ(load_model(scratch / "model").family, "mamba2");
}

TEST_P(GoldenModel, HalfPrecisionFilesKeepTheirBytesToo) {
  for (const auto dtype : {torch::kBFloat16, torch::kFloat16}) {
    testing::publish(golden(), scratch / "published");
    Named tensors = testing::tensors_of(golden() / "model.safetensors");
    for (auto& [name, tensor] : tensors)
      if (tensor.is_floating_point()) tensor = tensor.to(dtype);
    save_checkpoint(scratch / "published/model.safetensors", tensors);
    const Model model = load_model(scratch / "published");
    for (const Tensor& parameter : model.module->parameters()) EXPECT_EQ(parameter.scalar_type(), torch::kFloat32);
    save_model(model, scratch / "saved");
    testing::expect_same_tensors(scratch / "published/model.safetensors", scratch / "saved/model.safetensors");
  }
}

TEST_P(GoldenModel, ShardedFilesLoadTheSame) {
  testing::publish(golden(), scratch / "published");
  fs::remove(scratch / "published/model.safetensors");
  save_checkpoint(scratch / "published", testing::tensors_of(golden() / "model.safetensors"), {}, 5000);
  EXPECT_FALSE(fs::exists(scratch / "published/model.safetensors"));
  save_model(load_model(scratch / "published"), scratch / "saved");
  testing::expect_same_tensors(golden() / "model.safetensors", scratch / "saved/model.safetensors");
}

TEST_P(GoldenModel, PublishedNamesAreTheInverseOfPlaces) {
  const Model model = make_model(testing::golden_config(golden()), "config.json");
  const Checkpoint checkpoint = Checkpoint::open(golden() / "model.safetensors");
  std::map<std::pair<std::string, int64_t>, std::string> in_file;  // the first name of each part of a tensor
  for (const auto& [name, info] : checkpoint.tensors()) {
    const auto place = model.names.place(name);
    ASSERT_TRUE(place) << name;
    if (place->path.empty()) continue;
    const auto [first, is_new] = in_file.try_emplace({place->path, place->part}, name);
    if (!is_new) {
      EXPECT_TRUE(torch::equal(checkpoint.tensor(name), checkpoint.tensor(first->second)))
          << name << " is a second name of " << first->second;
    }
  }
  std::set<std::string> written;
  for (const auto& [path, tensor] : named_tensors(*model.module)) {
    const auto published = model.names.published(path);
    EXPECT_FALSE(published.empty()) << path;
    for (const auto& [name, place] : published) {
      EXPECT_TRUE(in_file.contains({path, place.part})) << name;
      EXPECT_TRUE(written.insert(name).second) << name << " stands for two parameters";
      const auto back = model.names.place(name);
      ASSERT_TRUE(back) << name;
      EXPECT_EQ(back->path, path);
      EXPECT_EQ(back->part, place.part);
      EXPECT_EQ(back->parts, place.parts);
      EXPECT_EQ(back->transposed, place.transposed);
    }
  }
}

TEST_P(GoldenModel, ATunedModelSavesItsNewValuesUnderTheOldNames) {
  testing::publish(golden(), scratch / "published");
  const Model model = load_model(scratch / "published");
  {
    const torch::NoGradGuard no_grad;
    for (Tensor& parameter : model.module->parameters()) parameter.mul_(2);
  }
  EXPECT_EQ(read_file(scratch / "published/model.safetensors"), read_file(golden() / "model.safetensors"))
      << "the mapped file is not written to";
  save_model(model, scratch / "saved");
  const Checkpoint before = Checkpoint::open(golden()), after = Checkpoint::open(scratch / "saved");
  for (const auto& [name, info] : before.tensors()) {
    const auto place = model.names.place(name);
    const bool parameter = model.module->named_parameters().contains(place->path);
    EXPECT_TRUE(torch::equal(after.tensor(name), parameter ? before.tensor(name) * 2 : before.tensor(name))) << name;
  }
  EXPECT_NO_THROW(load_model(scratch / "saved"));
}

TEST_P(GoldenModel, SavingOverTheFolderThatItWasLoadedFromIsSafe) {
  testing::publish(golden(), scratch / "model");
  const Model model = load_model(scratch / "model");
  save_model(model, scratch / "model");
  testing::expect_same_tensors(golden() / "model.safetensors", scratch / "model/model.safetensors");
  save_model(model, scratch / "model");  // the mapping must outlive the file that it was made of
  testing::expect_same_tensors(golden() / "model.safetensors", scratch / "model/model.safetensors");
}

TEST_P(GoldenModel, AFreshModelSavesAndLoads) {
  Model model = make_model(testing::golden_config(golden()), "config.json");
  for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
    save_model(model, scratch / "fresh", dtype);
    const Model loaded = load_model(scratch / "fresh");
    const auto a = named_tensors(*model.module), b = named_tensors(*loaded.module);
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [path, tensor] : a)
      EXPECT_TRUE(torch::equal(tensor.is_floating_point() ? tensor.to(dtype).to(torch::kFloat32) : tensor, b.at(path)))
          << path;
  }
}

INSTANTIATE_TEST_SUITE_P(All, GoldenModel, ::testing::ValuesIn(golden_models()), [](const auto& tested) {
  std::string name = tested.param.first;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenModel);

fs::path golden(const std::string& name) {
  const auto all = golden_models();
  return all.contains(name) ? all.at(name) : fs::path();
}

TEST(TimmFolder, LoadsAsPublishedAndSavesTheSame) {
  const fs::path from = golden("vit/timm-fused-qkv");
  if (from.empty()) GTEST_SKIP() << "no golden of this name";
  const Scratch scratch;
  Json config = {{"architecture", "vit_base_patch8_224"},
                 {"num_classes", 6},
                 {"global_pool", "token"},
                 {"model_args", testing::golden_config(from)},
                 {"pretrained_cfg",
                  {{"input_size", {3, 32, 48}},
                   {"interpolation", "bicubic"},
                   {"mean", {0.5, 0.5, 0.5}},
                   {"std", {0.5, 0.5, 0.5}},
                   {"crop_pct", 1.0},
                   {"crop_mode", "squash"},
                   {"fixed_input_size", true}}}};
  config["model_args"].erase("num_classes");
  config["model_args"].erase("global_pool");
  write_file(scratch / "published/config.json", config.dump());
  fs::copy_file(from / "model.safetensors", scratch / "published/model.safetensors");
  const Model model = load_model(scratch / "published");
  EXPECT_EQ(model.family, "timm-vit");
  ASSERT_TRUE(model.processor);
  EXPECT_EQ(model.as<ImageClassifier>("classify").forward(torch::zeros({1, 3, 32, 48})).size(1), 6);
  save_model(model, scratch / "saved");
  testing::expect_same_tensors(from / "model.safetensors", scratch / "saved/model.safetensors");
  EXPECT_EQ(load_model(scratch / "saved").config, config);
  EXPECT_TRUE(load_model(scratch / "saved").processor);
}

TEST(OpenClipFolder, LoadsAsPublishedAndSavesTheSame) {
  const fs::path from = golden("clip/openclip");
  if (from.empty()) GTEST_SKIP() << "no golden of this name";
  const Scratch scratch;
  const Json config = {{"model_cfg", testing::golden_config(from)},
                       {"preprocess_cfg",
                        {{"mean", {0.48145466, 0.4578275, 0.40821073}},
                         {"std", {0.26862954, 0.26130258, 0.27577711}},
                         {"interpolation", "bicubic"},
                         {"resize_mode", "shortest"}}}};
  write_file(scratch / "published/open_clip_config.json", config.dump());
  fs::copy_file(from / "model.safetensors", scratch / "published/open_clip_model.safetensors");
  const Model model = load_model(scratch / "published");
  EXPECT_EQ(model.family, "open-clip");
  ASSERT_TRUE(model.processor);
  EXPECT_EQ(model.as<DualEncoder>("compare").encode_image(torch::zeros({1, 3, 24, 24})).size(1), 20);
  save_model(model, scratch / "saved");
  testing::expect_same_tensors(from / "model.safetensors", scratch / "saved");
  const Model again = load_model(scratch / "saved");
  EXPECT_EQ(again.config, config);
  EXPECT_TRUE(again.processor);
}

const Json kOwn = {{"model_type", "tessera-dual-encoder"},
                   {"dual_encoder",
                    {{"image",
                      {{"kind", "hybrid-vit"},
                       {"image", {16, 16}},
                       {"stem", 4},
                       {"widths", {8, 12}},
                       {"blocks", {0, 1}},
                       {"dim", 16},
                       {"depth", 1},
                       {"heads", 2},
                       {"ffn", 24}}},
                     {"image_pool", {{"kind", "mean"}}},
                     {"text",
                      {{"kind", "text-transformer"},
                       {"vocabulary", 400},
                       {"context", 8},
                       {"dim", 16},
                       {"depth", 1},
                       {"heads", 2},
                       {"ffn", 24},
                       {"causal", false}}},
                     {"text_pool", "mean"},
                     {"dim", 10}}}};

fs::path tokenizer_golden() {
  for (const fs::path& root :
       {fs::path(TESSERA_SOURCE_DIR) / "tests/goldens", fs::path(TESSERA_SOURCE_DIR).parent_path() / "shared/goldens"})
    if (fs::exists(root / "tokenizers/clip/tokenizer.json")) return root / "tokenizers/clip/tokenizer.json";
  return {};
}

TEST(OwnFolder, RoundTripsWithTokenizerAndProcessor) {
  const Scratch scratch;
  Model model = make_model(kOwn, "recipe.json");
  testing::randomise(*model.module);
  const Json processor = {{"image_processor_type", "CLIPImageProcessor"},
                          {"do_resize", true},
                          {"size", {{"shortest_edge", 16}}},
                          {"do_center_crop", true},
                          {"crop_size", {{"height", 16}, {"width", 16}}},
                          {"do_rescale", true},
                          {"rescale_factor", 1.0 / 255},
                          {"do_normalize", true},
                          {"image_mean", {0.5, 0.5, 0.5}},
                          {"image_std", {0.5, 0.5, 0.5}},
                          {"do_convert_rgb", true},
                          {"resample", 3}};
  write_file(scratch / "processor/preprocessor_config.json", processor.dump());
  model.processor =
      std::make_shared<ImageProcessor>(ImageProcessor::load((scratch / "processor/preprocessor_config.json").string()));
  if (const fs::path file = tokenizer_golden(); !file.empty())
    model.tokenizer = std::make_shared<Tokenizer>(load_tokenizer(file));
  save_model(model, scratch / "saved");

  const Model again = load_model(scratch / "saved");
  EXPECT_EQ(again.family, "dual-encoder");
  EXPECT_FALSE(again.module->is_training());
  ASSERT_TRUE(again.processor);
  EXPECT_EQ(again.tokenizer != nullptr, model.tokenizer != nullptr);
  if (again.tokenizer) {
    EXPECT_EQ(again.tokenizer->encode("a red fox").ids, model.tokenizer->encode("a red fox").ids);
  }
  model.module->eval();
  const torch::NoGradGuard no_grad;
  at::manual_seed(3);
  const Tensor pixels = torch::randn({2, 3, 16, 16});
  EXPECT_TRUE(torch::equal(again.as<DualEncoder>("compare").encode_image(pixels),
                           model.as<DualEncoder>("compare").encode_image(pixels)));
  save_model(again, scratch / "twice");
  for (const auto& entry : fs::directory_iterator(scratch / "saved"))
    EXPECT_EQ(read_file(entry.path()), read_file(scratch / "twice" / entry.path().filename()))
        << entry.path().filename();
}

TEST(InstructBlipFolder, ItsSecondTokenizerIsLoadedAndSaved) {
  const fs::path from = golden("blip2/instructblip-llama"), file = tokenizer_golden();
  if (from.empty() || file.empty()) GTEST_SKIP() << "no golden of this name";
  const Scratch scratch;
  testing::publish(from, scratch / "published");
  EXPECT_FALSE(load_model(scratch / "published").instruction_tokenizer);
  write_file(scratch / "published/qformer_tokenizer/tokenizer.json", read_file(file));
  const Model model = load_model(scratch / "published");
  EXPECT_FALSE(model.tokenizer);
  ASSERT_TRUE(model.instruction_tokenizer);
  save_model(model, scratch / "saved");
  EXPECT_EQ(read_file(scratch / "saved/qformer_tokenizer/tokenizer.json"), read_file(file));
  EXPECT_FALSE(fs::exists(scratch / "saved/tokenizer.json"));
}

TEST(OwnFolder, RunningStatisticsAreSavedWithTheWeights) {
  const Scratch scratch;
  const Model model = make_model(kOwn, "recipe.json");
  for (auto& [path, tensor] : named_tensors(*model.module))
    if (path.ends_with("running_mean")) tensor.fill_(0.25);
  save_model(model, scratch / "saved");
  bool seen = false;
  for (const auto& [path, tensor] : named_tensors(*load_model(scratch / "saved").module))
    if (path.ends_with("running_mean")) {
      seen = true;
      EXPECT_EQ(tensor.max().item<float>(), 0.25F) << path;
    }
  EXPECT_TRUE(seen);
}

}  // namespace
}  // namespace tessera

// timm keeps the weights of Swin under other names than its authors.
#include <gmock/gmock.h>

#include <regex>

#include "encoders/classifier.h"
#include "models/folders.h"

namespace tessera {
namespace {

using testing::error_of;

class TimmSwin : public ::testing::Test {
 protected:
  const Json arguments = {{"img_size", 32},         {"patch_size", 2},  {"embed_dim", 8},  {"depths", {1, 2, 1}},
                          {"num_heads", {1, 2, 4}}, {"window_size", 4}, {"mlp_ratio", 2.0}};

  /// The authors' model, and its weights saved under timm's names with this config.
  Model publish(const Json& config) {
    Json own = arguments;
    own["num_classes"] = 5, own["ape"] = false, own["patch_norm"] = true;
    torch::manual_seed(1);
    Model model = make_model(own, "config.json");
    save_model(model, scratch / "own");
    testing::Named tensors;
    for (auto& [name, tensor] : testing::tensors_of(scratch / "own/model.safetensors"))
      if (const std::string named = timm_name(name); !named.empty()) tensors.emplace_back(named, tensor);
    write_file(scratch / "timm/config.json", config.dump());
    save_checkpoint(scratch / "timm/model.safetensors", tensors);
    return model;
  }

  static Tensor logits(const Model& model, const Tensor& pixels) {
    const torch::NoGradGuard no_grad;
    model.module->eval();
    return model.as<ImageClassifier>("a test").forward(pixels);
  }

  testing::Scratch scratch;

 private:
  /// Merging stands in the stage that it begins, the head in a module of its own, and what can be computed is not kept.
  static std::string timm_name(const std::string& name) {
    std::smatch m;
    if (std::regex_match(name, m, std::regex(R"(layers\.(\d+)\.downsample\.(.*))")))
      return "layers." + std::to_string(std::stoi(m[1]) + 1) + ".downsample." + m[2].str();
    if (name.starts_with("head.")) return "head.fc." + name.substr(5);
    return name.ends_with("relative_position_index") || name.ends_with("attn_mask") ? "" : name;
  }
};

TEST_F(TimmSwin, ComputesWhatTheAuthorsNamesDo) {
  const Model own = publish({{"architecture", "swin_own"}, {"model_args", arguments}, {"num_classes", 5}});
  const Model timm = load_model(scratch / "timm");
  EXPECT_EQ(timm.family, "timm-swin");
  const Tensor pixels = torch::randn({2, 3, 32, 32});
  EXPECT_TRUE(logits(own, pixels).equal(logits(timm, pixels)));
  save_model(timm, scratch / "saved");
  testing::expect_same_tensors(scratch / "timm/model.safetensors", scratch / "saved/model.safetensors");
}

TEST_F(TimmSwin, IsKnownByItsName) {
  const Model model = make_model({{"architecture", "swin_tiny_patch4_window7_224.ms_in1k"}, {"num_classes", 3}}, "");
  int64_t parameters = 0;
  for (const Tensor& parameter : model.module->parameters()) parameters += parameter.numel();
  EXPECT_EQ(parameters, 28288354 - (1000 - 3) * 769) << "Swin-T has 28,288,354 with a thousand classes";
  EXPECT_THAT(error_of([] {
                make_model({{"architecture", "swin_s3_tiny_224"}}, "");
              }),
              ::testing::AllOf(::testing::HasSubstr("swin_s3_tiny_224"), ::testing::HasSubstr("model_args")));
}

}  // namespace
}  // namespace tessera

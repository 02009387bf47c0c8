#include "parity/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "support/scratch.h"

namespace tessera::parity {
namespace {

namespace fs = std::filesystem;

const fs::path kGoldens = fs::path(TESSERA_SOURCE_DIR) / "tests/goldens";

/// A copy of a golden that a test may spoil.
class SpoiledGolden {
 public:
  explicit SpoiledGolden(const std::string& name) {
    fs::copy(kGoldens / name, folder_, fs::copy_options::recursive);
    for (const auto& entry : fs::directory_iterator(folder_)) fs::permissions(entry, fs::perms::owner_all);
  }
  const fs::path& folder() const { return folder_; }

  /// Adds `change` to the first value of one tensor of a file.
  void nudge(const std::string& file, const std::string& tensor, double change) {
    std::vector<std::pair<std::string, Tensor>> tensors;
    {
      const Checkpoint checkpoint = Checkpoint::open(folder_ / file);
      for (const auto& [name, info] : checkpoint.tensors()) tensors.emplace_back(name, checkpoint.tensor(name).clone());
    }
    for (auto& [name, value] : tensors)
      if (name == tensor) value.view(-1)[0] += change;
    save_checkpoint(folder_ / file, tensors);
  }

 private:
  testing::Scratch scratch_;
  fs::path folder_ = scratch_ / "golden";
};

Comparison close(const Tensor& got, const Tensor& want) { return compare("x", got, want, 1e-3, 1e-4); }

TEST(Compare, AllowsAbsolutePlusRelativeError) {
  const Tensor want = torch::tensor({0.0, 100.0});
  EXPECT_FALSE(close(torch::tensor({0.00009, 100.09}), want).failed());
  EXPECT_TRUE(close(torch::tensor({0.00011, 100.0}), want).failed());
  EXPECT_TRUE(close(torch::tensor({0.0, 100.2}), want).failed());
}

TEST(Compare, IntegersMustBeEqual) {
  EXPECT_FALSE(close(torch::tensor({100000, 2}), torch::tensor({100000, 2})).failed());
  EXPECT_TRUE(close(torch::tensor({100001, 2}), torch::tensor({100000, 2})).failed());
}

TEST(Compare, NaNAndInfinityMustBeInTheSamePlaces) {
  const Tensor want = torch::tensor({1.0, std::nan(""), HUGE_VAL, -HUGE_VAL});
  EXPECT_FALSE(close(want.clone(), want).failed());
  for (int64_t i = 1; i < 4; ++i) {
    Tensor got = want.clone();
    got[i] = 5;
    EXPECT_TRUE(close(got, want).failed()) << i;
  }
  Tensor got = want.clone();
  got[0] = std::nan("");
  EXPECT_TRUE(close(got, want).failed());
}

TEST(Compare, AnotherShapeDiffers) {
  EXPECT_TRUE(close(torch::zeros({2, 3}), torch::zeros({3, 2})).failed());
  EXPECT_TRUE(close(Tensor(), torch::zeros({1})).failed());
}

TEST(RunGolden, PassesAsRecorded) {
  EXPECT_EQ(run_golden(kGoldens / "vit/hf-deit-distilled").status, "passed");
  EXPECT_EQ(run_golden(kGoldens / "tokenizers/gpt2").status, "passed");
}

TEST(RunGolden, FailsWhenAWeightIsOff) {
  SpoiledGolden golden("vit/hf-deit-distilled");
  golden.nudge("model.safetensors", "deit.layernorm.weight", 0.5);
  EXPECT_EQ(run_golden(golden.folder()).status, "failed");
}

TEST(RunGolden, FailsWhenARecordedGradientIsOff) {
  SpoiledGolden golden("bert/bert-mlm");
  const Case forward = read_golden(golden.folder()).cases.front();
  ASSERT_FALSE(forward.grads.empty());
  golden.nudge("cases.safetensors", forward.grads.begin()->second, 0.1);
  EXPECT_EQ(run_golden(golden.folder()).status, "failed");
}

TEST(RunGolden, FailsWhenARecordedIdIsOff) {
  SpoiledGolden golden("tokenizers/gpt2");
  Json cases = read_json(golden.folder() / "cases.json");
  cases["single"][0]["ids"][0] = 1;
  write_file(golden.folder() / "cases.json", cases.dump());
  EXPECT_EQ(run_golden(golden.folder()).status, "failed");
}

TEST(RunGolden, FailsWhenTheWeightsAreCut) {
  SpoiledGolden golden("vit-mae/norm-pix");
  fs::resize_file(golden.folder() / "model.safetensors", 1000);
  EXPECT_EQ(run_golden(golden.folder()).status, "failed");
}

TEST(RunGolden, UnknownSystemIsUnsupported) {
  SpoiledGolden golden("vit-mae/norm-pix");
  Json json = read_json(golden.folder() / "golden.json");
  json["system"] = "not-a-system";
  write_file(golden.folder() / "golden.json", json.dump());
  EXPECT_EQ(run_golden(golden.folder()).status, "unsupported");
}

TEST(FindGoldens, RefusesAFolderWithoutAny) {
  EXPECT_THROW(find_goldens({fs::path(TESSERA_SOURCE_DIR) / "src"}), Error);
  EXPECT_THROW(find_goldens({"/does/not/exist"}), Error);
  EXPECT_GE(find_goldens({kGoldens}).size(), 10u);
}

}  // namespace
}  // namespace tessera::parity

#pragma once
#include <gtest/gtest.h>

#include "core/files.h"
#include "core/progress.h"
#include "io/checkpoint.h"
#include "support/scratch.h"
#include "train/trainer.h"

namespace tessera::testing {

/// Runs of recipes in a folder of the test's own.
class TrainingTest : public ::testing::Test {
 protected:
  /// @param made  what the folder is called, within that of the run, that a finished run saves; empty: it saves none
  explicit TrainingTest(std::string made = "model") : made_(std::move(made)) { Progress::quiet = true; }

  RunResult run(const Json& json, const std::string& name, std::function<bool(int64_t)> stop = {}) const {
    Trainer trainer(read_recipe(json, ""), {.folder = folder_ / name, .stop = std::move(stop)});
    const RunResult result = trainer.run();
    if (result.finished && !made_.empty()) trainer.save_model_folder(folder_ / name / made_);
    return result;
  }

  /// All tensors of two runs' states are the same to the bit.
  void expect_same_state(const std::string& a, const std::string& b) const {
    const Checkpoint first = state(a), second = state(b);
    ASSERT_EQ(first.tensors().size(), second.tensors().size());
    for (const auto& [name, info] : first.tensors()) EXPECT_TRUE(first.tensor(name).equal(second.tensor(name))) << name;
  }

  /// A run that is stopped after these steps, and resumed each time, ends with the state and the metrics of one that
  /// never stops. The runs are called `name` and then "whole" or "parts".
  /// @param resumed  the recipe from the last stop on, where it is another one
  void expect_resumed_is_uninterrupted(const Json& json, const std::vector<int64_t>& stops,
                                       const std::string& name = "", const Json& resumed = {}) const {
    EXPECT_TRUE(run(json, name + "whole").finished);
    for (const int64_t last : stops) {
      const RunResult part = run(json, name + "parts", [last](int64_t step) { return step == last; });
      EXPECT_FALSE(part.finished);
      EXPECT_EQ(part.step, last);
    }
    EXPECT_TRUE(run(resumed.is_null() ? json : resumed, name + "parts").finished);
    expect_same_state(name + "whole", name + "parts");
    EXPECT_EQ(metrics(name + "whole"), metrics(name + "parts"));
  }

  Checkpoint state(const std::string& name) const { return Checkpoint::open(folder_ / name / "state.safetensors"); }

  /// The metrics without what a clock measured.
  std::vector<Json> metrics(const std::string& name) const {
    std::vector<Json> lines = read_metrics(folder_ / name / "metrics.jsonl");
    for (auto& line : lines) line.erase("seconds");
    return lines;
  }

  /// How many numbers a saved folder says that its run trained.
  static int64_t trained_parameters(const std::filesystem::path& folder) {
    return read_json(folder / "metrics.json").at("parameters").get<int64_t>();
  }

  static int64_t parameters_of(const torch::nn::Module& module) {
    int64_t count = 0;
    for (const auto& parameter : module.parameters()) count += parameter.numel();
    return count;
  }

  Scratch scratch_;
  std::filesystem::path folder_ = scratch_.path();

 private:
  std::string made_;
};

}  // namespace tessera::testing

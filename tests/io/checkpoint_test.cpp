#include "io/checkpoint.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <limits>
#include <tuple>

#include "checkpoint_files.h"

namespace tessera {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;

using NamedTensors = std::vector<std::pair<std::string, torch::Tensor>>;

using Checkpoints = CheckpointFolder;

bool same_bytes(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  return a.numel() == 0 || std::memcmp(a.data_ptr(), b.contiguous().data_ptr(), a.nbytes()) == 0;
}

/// Every dtype, with a scalar, an empty tensor and a strided view among them.
NamedTensors every_dtype() {
  NamedTensors tensors;
  const auto base = at::arange(-6, 6).reshape({3, 4});
  for (const auto dtype : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16, torch::kInt64,
                           torch::kInt32, torch::kInt16, torch::kInt8, torch::kUInt8, torch::kBool}) {
    tensors.emplace_back(std::string("of.") + c10::toString(dtype), base.to(dtype));
  }
  tensors.emplace_back("scalar", at::scalar_tensor(2.5));
  tensors.emplace_back("empty", at::empty({0, 3}));
  tensors.emplace_back("transposed", at::rand({5, 7}).t());
  tensors.emplace_back("nan", at::full({2}, std::numeric_limits<float>::quiet_NaN()));
  tensors.emplace_back("n\"a\\mé\t", at::ones({2}));
  return tensors;
}

/// All tensors of a checkpoint in the order of their data.
NamedTensors in_file_order(const Checkpoint& checkpoint) {
  std::vector<std::tuple<size_t, size_t, size_t, std::string>> order;
  for (const auto& [name, info] : checkpoint.tensors()) order.emplace_back(info.shard, info.begin, info.bytes, name);
  std::sort(order.begin(), order.end());
  NamedTensors tensors;
  for (const auto& place : order) tensors.emplace_back(std::get<3>(place), checkpoint.tensor(std::get<3>(place)));
  return tensors;
}

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

size_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(Checkpoints, EveryDtypeRoundTripsByteForByte) {
  const NamedTensors tensors = every_dtype();
  save_checkpoint(folder / "a.safetensors", tensors, {{"format", "pt"}, {"note", "x"}});
  const Checkpoint checkpoint = Checkpoint::open(folder / "a.safetensors");
  EXPECT_EQ(checkpoint.tensors().size(), tensors.size());
  EXPECT_EQ(checkpoint.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"note", "x"}}));
  EXPECT_EQ(checkpoint.path(), folder / "a.safetensors");
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(checkpoint.has(name)) << name;
    EXPECT_TRUE(same_bytes(checkpoint.tensor(name), tensor)) << name;
  }
}

TEST_F(Checkpoints, WriteReadWriteGivesIdenticalBytes) {
  save_checkpoint(folder / "a.safetensors", every_dtype());
  const Checkpoint read = Checkpoint::open(folder / "a.safetensors");
  save_checkpoint(folder / "b.safetensors", in_file_order(read), read.metadata());
  EXPECT_EQ(bytes_of_file(folder / "a.safetensors"), bytes_of_file(folder / "b.safetensors"));
}

TEST_F(Checkpoints, FilesOfTheReferenceReadAndAreWrittenBackUnchanged) {
  const fs::path goldens = fs::path(TESSERA_SOURCE_DIR) / "../shared/goldens";
  if (!fs::exists(goldens)) GTEST_SKIP() << "no goldens here";
  size_t count = 0;
  for (const auto& system : fs::directory_iterator(goldens)) {
    if (!system.is_directory()) continue;
    for (const auto& golden : fs::directory_iterator(system)) {
      const fs::path file = golden.path() / "model.safetensors";
      if (!fs::exists(file)) continue;
      const Checkpoint checkpoint = Checkpoint::open(golden.path());
      save_checkpoint(folder / "copy.safetensors", in_file_order(checkpoint), checkpoint.metadata());
      EXPECT_TRUE(bytes_of_file(file) == bytes_of_file(folder / "copy.safetensors")) << file;
      ++count;
    }
  }
  EXPECT_GT(count, 0u);
}

TEST_F(Checkpoints, ShardedEqualsWhole) {
  const NamedTensors tensors = every_dtype();
  save_checkpoint(folder / "whole", tensors);
  save_checkpoint(folder / "sharded", tensors, {{"format", "pt"}}, 64);
  EXPECT_EQ(files_in(folder / "whole"), std::vector<std::string>{"model.safetensors"});
  ASSERT_GT(files_in(folder / "sharded").size(), 3u);
  EXPECT_TRUE(fs::exists(folder / "sharded/model.safetensors.index.json"));
  const Checkpoint whole = Checkpoint::open(folder / "whole"), sharded = Checkpoint::open(folder / "sharded");
  ASSERT_EQ(whole.tensors().size(), sharded.tensors().size());
  EXPECT_EQ(whole.metadata(), sharded.metadata());
  for (const auto& [name, info] : whole.tensors()) {
    EXPECT_TRUE(same_bytes(whole.tensor(name), sharded.tensor(name))) << name;
  }
}

TEST_F(Checkpoints, SavingOverALargerOrSmallerModelLeavesNoMixture) {
  const NamedTensors one = {{"a", at::ones({4})}, {"b", at::ones({4})}},
                     two = {{"a", at::zeros({4})}, {"b", at::ones({4})}};
  save_checkpoint(folder, one);
  save_checkpoint(folder, two, {}, 16);
  EXPECT_EQ(Checkpoint::open(folder).tensor("a").sum().item<float>(), 0);
  save_checkpoint(folder, one);
  EXPECT_EQ(Checkpoint::open(folder).tensor("a").sum().item<float>(), 4);
  EXPECT_FALSE(fs::exists(folder / "model.safetensors.index.json"));
}

TEST_F(Checkpoints, NameOfTheFileFindsItsShards) {
  save_checkpoint(folder / "m.safetensors", {{"a", at::ones({4})}, {"b", at::ones({4})}}, {}, 16);
  EXPECT_EQ(Checkpoint::open(folder / "m.safetensors").tensors().size(), 2u);
  EXPECT_EQ(Checkpoint::open(folder).path(), folder / "m.safetensors.index.json");
}

TEST_F(Checkpoints, TensorsAreViewsOfTheMappingAndOutliveTheCheckpointAndTheFile) {
  const auto x = at::rand({1000});
  save_checkpoint(folder / "a.safetensors", {{"x", x}});
  torch::Tensor read;
  {
    const Checkpoint checkpoint = Checkpoint::open(folder / "a.safetensors");
    read = checkpoint.tensor("x");
    EXPECT_EQ(read.data_ptr(), checkpoint.tensor("x").data_ptr());
  }
  save_checkpoint(folder / "a.safetensors", {{"x", at::zeros({1000})}});
  fs::remove(folder / "a.safetensors");
  EXPECT_TRUE(at::equal(read, x));
}

TEST_F(Checkpoints, UnalignedDataIsCopiedAndEqual) {
  const auto x = at::rand({5}).to(torch::kFloat64);
  save_checkpoint(folder / "a.safetensors", {{"flag", at::ones({3}, torch::kBool)}, {"x", x}});
  const Checkpoint checkpoint = Checkpoint::open(folder / "a.safetensors");
  EXPECT_TRUE(same_bytes(checkpoint.tensor("x"), x));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(checkpoint.tensor("x").data_ptr()) % 8, 0u);
}

TEST_F(Checkpoints, OpeningALargeFileTouchesNoData) {
  constexpr size_t kBytes = 3'000'000'000;
  const std::string end = std::to_string(kBytes);
  const auto path = write("a.safetensors", safetensors("{\"x\":{\"dtype\":\"U8\",\"shape\":[" + end +
                                                       "],\"data_offsets\":[0," + end + "]}}"));
  fs::resize_file(path, fs::file_size(path) + kBytes);
  const size_t before = resident_bytes();
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_EQ(checkpoint.tensor("x").numel(), static_cast<int64_t>(kBytes));
  EXPECT_LT(resident_bytes(), before + 50'000'000);
}

TEST_F(Checkpoints, NaNAndInfinityAreFoundByName) {
  for (const auto dtype : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16}) {
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()}) {
      const auto good = at::tensor({0.0, -1.0, 3e4}).to(dtype);
      auto spoiled = good.clone();
      spoiled[1] = bad;
      save_checkpoint(folder, {{"a", good}, {"ids", at::full({3}, -1)}});
      check_finite(Checkpoint::open(folder));
      save_checkpoint(folder, {{"a", good}, {"b.weight", spoiled}});
      EXPECT_THAT(error_of([&] { check_finite(Checkpoint::open(folder)); }),
                  AllOf(HasSubstr("'b.weight'"), HasSubstr("model.safetensors")));
    }
  }
}

TEST_F(Checkpoints, WhatCannotBeSavedIsAnErrorAndLeavesNothing) {
  const auto x = at::ones({2});
  const auto save = [&](const NamedTensors& tensors) {
    return error_of([&] { save_checkpoint(folder / "a.safetensors", tensors); });
  };
  EXPECT_THAT(save({{"w", x}, {"w", x}}), HasSubstr("'w' is given twice"));
  EXPECT_THAT(save({{"w", torch::Tensor()}}), HasSubstr("undefined"));
  EXPECT_THAT(save({{"w", x.to(torch::kComplexFloat)}}), HasSubstr("ComplexFloat"));
  EXPECT_THAT(save({{"__metadata__", x}}), HasSubstr("__metadata__"));
  EXPECT_THAT(save({{"bad\xff", x}}), HasSubstr("UTF-8"));
  EXPECT_TRUE(files_in(folder).empty());
}

TEST_F(Checkpoints, FolderThatCannotBeWrittenIsAnError) {
  write("file", "x");
  EXPECT_THAT(error_of([&] {
                save_checkpoint(folder / "file/sub/a.safetensors", {{"x", at::ones({2})}});
              }),
              HasSubstr("a.safetensors"));
}

TEST_F(Checkpoints, FullDiskIsAnErrorAndLeavesTheOldFileAlone) {
  save_checkpoint(folder, {{"x", at::ones({4})}});
  const std::string before = bytes_of_file(folder / "model.safetensors");
  struct rlimit old {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const struct rlimit small { 4096, old.rlim_max };
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const NamedTensors large = {{"x", at::zeros({100})}, {"y", at::zeros({100'000})}};
  const std::string whole = error_of([&] { save_checkpoint(folder, large); });
  const std::string sharded = error_of([&] { save_checkpoint(folder, large, {}, 1000); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(whole, HasSubstr("cannot be written"));
  EXPECT_THAT(sharded, HasSubstr("model-00002-of-00002.safetensors"));
  EXPECT_EQ(files_in(folder), std::vector<std::string>{"model.safetensors"});
  EXPECT_EQ(bytes_of_file(folder / "model.safetensors"), before);
}

}  // namespace
}  // namespace tessera

#include "layers/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "layers/linear.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

TEST(Device, NamesTheCpu) { EXPECT_TRUE(device_named("cpu", "--device").is_cpu()); }

TEST(Device, RefusesOtherNames) {
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", "cuda:999", "cuda 0", "xpu"})
    EXPECT_THROW(device_named(name, "--device"), Error) << name;
  try {
    device_named("gpu", "--device");
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("--device"));
    EXPECT_THAT(error.what(), HasSubstr("cuda:N"));
  }
}

TEST(Device, RefusesAGpuThatIsNotThere) { EXPECT_THROW(device_named("cuda:100", "--device"), Error); }

TEST(Device, IsThatOfTheFirstWeight) {
  struct Empty : Module {
  } none;
  EXPECT_TRUE(device_of(none).is_cpu());
  ModuleList<Linear> layers;
  layers.append(2, 3);
  EXPECT_TRUE(device_of(layers).is_cpu());
  layers.to(torch::kMeta);
  EXPECT_TRUE(device_of(layers).is_meta());
}

TEST(Device, MovesWhatIsDefined) {
  const TextBatch there = moved(TextBatch{torch::ones({2, 3}, torch::kInt64), {}, {}}, torch::kMeta);
  EXPECT_TRUE(there.ids.is_meta());
  EXPECT_FALSE(there.mask.defined());
  EXPECT_FALSE(there.type_ids.defined());
}

}  // namespace
}  // namespace tessera

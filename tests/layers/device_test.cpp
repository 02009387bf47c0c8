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

struct Elsewhere : Module {
  Elsewhere() { register_parameter("weight", torch::empty({2}, torch::kMeta)); }
};

struct Parts : Module {
  Parts() {
    add<ModuleList<Linear>>("none");
    add<Elsewhere>("first");
    add<Linear>("second", 2, 3);
  }
};

TEST(Device, IsThatOfTheFirstWeight) {
  EXPECT_TRUE(device_of(ModuleList<Linear>()).is_cpu());
  EXPECT_TRUE(device_of(Parts()).is_meta());
}

TEST(Device, MovesWhatIsDefined) {
  const TextBatch there = moved(TextBatch{torch::ones({2, 3}, torch::kInt64), {}, {}}, torch::kMeta);
  EXPECT_TRUE(there.ids.is_meta());
  EXPECT_FALSE(there.mask.defined());
  EXPECT_FALSE(there.type_ids.defined());
}

}  // namespace
}  // namespace tessera

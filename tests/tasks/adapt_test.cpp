#include "tasks/adapt.h"

#include <gmock/gmock.h>

#include "support/scratch.h"
#include "tasks/tiny_models.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Adapt, RefusesAPreparedFolderAndSaysToMergeFirst) {
  const testing::Scratch scratch;
  testing::tower_model(scratch / "model");
  Model packed = load_prepared_model(scratch / "model", Precision::kInt8);
  save_prepared_model(packed, Precision::kInt8, scratch / "packed");
  const auto refusal = AllOf(HasSubstr("packed weights take no adapter"), HasSubstr("--merge"));
  for (const char* precision : {"", "int8"})
    EXPECT_THAT(testing::error_of([&] { open_adapted_model(scratch / "packed", scratch / "adapter", precision); }),
                refusal);
  EXPECT_THAT(testing::error_of([&] { adapt(packed, scratch / "adapter"); }), refusal);
  EXPECT_THAT(testing::error_of([&] { adapt_by_merging(packed, scratch / "adapter"); }), refusal);
  EXPECT_THAT(testing::error_of([&] { open_adapted_model(scratch / "model", scratch / "adapter"); }),
              HasSubstr("adapter_config.json"))
      << "of a published folder the adapter is read";
}

}  // namespace
}  // namespace tessera

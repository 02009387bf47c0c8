#include "core/error.h"

#include <gtest/gtest.h>

namespace tessera {

TEST(Error, SaysWhereWhatAndWhatToDo) {
  const Error error("tensor 'a' is missing", "model.safetensors", "fetch the file again");
  EXPECT_STREQ(error.what(), "model.safetensors: tensor 'a' is missing; fetch the file again");
  EXPECT_STREQ(error.within("folder").what(), "folder: model.safetensors: tensor 'a' is missing; fetch the file again");
}

}  // namespace tessera

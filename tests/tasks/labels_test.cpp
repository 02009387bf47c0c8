#include "tasks/labels.h"

#include <gmock/gmock.h>

#include "core/files.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> load(const std::string& text) {
  const testing::Scratch scratch;
  write_file(scratch / "labels.txt", text);
  return load_labels(scratch / "labels.txt");
}

TEST(Labels, EveryFormGivesTheSame) {
  EXPECT_THAT(split_labels(" cat,dog , red fish"), ElementsAre("cat", "dog", "red fish"));
  for (const char* text :
       {"cat\ndog\nred fish\n",
        "\xEF\xBB\xBF"
        "cat\r\ndog\r\nred fish\r\n\r\n",
        "[\"cat\", \"dog\", \"red fish\"]", "\"cat\"\n{\"label\": \"dog\"}\n{\"name\": \"red fish\"}"})
    EXPECT_THAT(load(text), ElementsAre("cat", "dog", "red fish")) << text;
}

TEST(Labels, EmptyAndDoubleOnesAreErrors) {
  for (const char* text : {"", " ", "cat,", ",cat", "cat,,dog", "cat,dog,cat"})
    EXPECT_THROW(split_labels(text), Error) << text;
  for (const char* text : {"", "\n\n", "cat\n\ndog", "cat\ncat", "[]", "[1]", "[\"cat\"", "{\"id\": 1}"})
    EXPECT_THROW(load(text), Error) << text;
  EXPECT_THROW(load_labels("/nowhere/labels.txt"), Error);
}

TEST(Labels, TemplatesHoldTheLabel) {
  EXPECT_THAT(fill_templates("cat", {}), ElementsAre("cat"));
  EXPECT_THAT(fill_templates("{}", {"a {}", "{} or {}"}), ElementsAre("a {}", "{} or {}"));
  EXPECT_THROW(fill_templates("cat", {"a picture"}), Error);
}

}  // namespace
}  // namespace tessera

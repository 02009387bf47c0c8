#include "core/json_log.h"

#include <gmock/gmock.h>

#include "core/files.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(JsonLog, KeepsWhatWasWrittenInOrder) {
  const testing::Scratch scratch;
  JsonLog log(scratch / "log");
  EXPECT_TRUE(log.lines().empty());
  log.write({{"name", "one"}});
  log.write({{"name", "two\n"}});
  const JsonLog again(scratch / "log");
  EXPECT_THAT(again.lines(), ElementsAre(json{{"name", "one"}}, json{{"name", "two\n"}}));
  EXPECT_FALSE(again.was_torn());
}

TEST(JsonLog, CutsOffTheLineThatWasBeingWrittenWhereverThatStopped) {
  const testing::Scratch scratch;
  const std::string whole = "{\"name\":\"one\"}\n", second = "{\"name\":\"two\"}\n";
  for (size_t length = 1; length < second.size(); ++length) {
    write_file(scratch / "log", whole + second.substr(0, length));
    JsonLog log(scratch / "log");
    EXPECT_THAT(log.lines(), ElementsAre(json{{"name", "one"}}));
    EXPECT_TRUE(log.was_torn());
    EXPECT_EQ(read_file(scratch / "log"), whole);
    log.write({{"name", "two"}});
    EXPECT_EQ(read_file(scratch / "log"), whole + second);
  }
}

TEST(JsonLog, NamesTheWholeLineThatIsNone) {
  const testing::Scratch scratch;
  write_file(scratch / "log", "1\nnone\n2\n");
  EXPECT_THAT(testing::error_of([&] { JsonLog log(scratch / "log"); }), HasSubstr("line 2"));
  EXPECT_THAT(testing::error_of([&] { JsonLog(scratch / "no folder" / "log").write(1); }),
              HasSubstr("cannot be written"));
}

}  // namespace
}  // namespace tessera

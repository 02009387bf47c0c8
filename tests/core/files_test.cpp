#include "core/files.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "support/scratch.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using ::testing::HasSubstr;
using testing::Scratch;

size_t entries(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicFile, AppearsWholeOnCommit) {
  const Scratch scratch;
  const fs::path path = scratch / "new/folder/file";
  AtomicFile file(path);
  file.write("one ");
  file.write("two");
  EXPECT_FALSE(fs::exists(path));
  file.commit();
  EXPECT_EQ(read_file(path), "one two");
  EXPECT_EQ(entries(path.parent_path()), 1u);
}

TEST(AtomicFile, WithoutCommitLeavesWhatWasThere) {
  const Scratch scratch;
  { AtomicFile(scratch / "fresh").write("half"); }
  EXPECT_EQ(entries(scratch.path()), 0u);
  write_file(scratch / "file", "old");
  { AtomicFile(scratch / "file").write("half of the new"); }
  EXPECT_EQ(read_file(scratch / "file"), "old");
  EXPECT_EQ(entries(scratch.path()), 1u);
}

TEST(AtomicFile, AnUnwritableFolderIsAnErrorThatNamesTheFile) {
  const Scratch scratch;
  write_file(scratch / "file", "no folder");
  EXPECT_THAT(error_of([&] { AtomicFile file(scratch / "file/inner"); }), HasSubstr("file/inner: cannot be written"));
  EXPECT_THAT(error_of([] { AtomicFile file("/proc/nowhere/file"); }), HasSubstr("/proc/nowhere/file"));
  EXPECT_EQ(entries(scratch.path()), 1u);
}

TEST(AtomicFile, AFullDeviceLeavesNoPartialFile) {
  const Scratch scratch;
  write_file(scratch / "file", "old");
  // A limit on the size of files stands for the full device: write() fails half-way in the same manner.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string message = error_of([&] { write_file(scratch / "file", std::string(100000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr("file: cannot be written"));
  EXPECT_EQ(read_file(scratch / "file"), "old");
  EXPECT_EQ(entries(scratch.path()), 1u);
}

TEST(AtomicFile, ReplacingAFolderFailsAndLeavesIt) {
  const Scratch scratch;
  fs::create_directories(scratch / "folder/inner");
  EXPECT_THAT(error_of([&] { write_file(scratch / "folder", "x"); }), HasSubstr("folder"));
  EXPECT_TRUE(fs::is_directory(scratch / "folder/inner"));
  EXPECT_EQ(entries(scratch.path()), 1u);
}

TEST(AtomicFile, ReadersSeeTheOldOrTheNewNeverAMixture) {
  const Scratch scratch;
  const fs::path path = scratch / "file";
  const size_t size = 200000;
  write_file(path, std::string(size, 'a'));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i) write_file(path, std::string(size, i % 2 ? 'a' : 'b'));
    done = true;
  });
  int reads = 0;
  while (!done || reads == 0) {
    const std::string text = read_file(path);
    ++reads;
    if (text.size() != size || text.find_first_not_of(text[0]) != std::string::npos) {
      ADD_FAILURE() << "a mixture of " << text.size() << " bytes";
      break;
    }
  }
  writer.join();
}

TEST(ReadFile, SaysWhatCannotBeRead) {
  const Scratch scratch;
  EXPECT_THAT(error_of([&] { read_file(scratch / "absent"); }), HasSubstr("absent: cannot be opened"));
  EXPECT_THAT(error_of([&] { read_file(scratch.path()); }), HasSubstr("is a folder"));
}

TEST(ParseJson, ErrorNamesTheFileAndThePlace) {
  EXPECT_THAT(error_of([] { parse_json("{\"a\": 1,\n \"b\" 2}", "recipe.json"); }),
              ::testing::AllOf(HasSubstr("recipe.json: is not valid JSON"), HasSubstr("line 2")));
  EXPECT_THAT(error_of([] { parse_json("", "recipe.json"); }), HasSubstr("recipe.json"));
  EXPECT_THAT(error_of([] { parse_json("{}}", "recipe.json"); }), HasSubstr("recipe.json"));
  EXPECT_THAT(error_of([] { parse_json("\"\xff\"", "recipe.json"); }), HasSubstr("recipe.json"));
}

TEST(ParseJson, EveryTruncationIsAnError) {
  const std::string text = R"({"a": [1, 2.5, true], "b": {"c": "text\u00e9", "d": null}})";
  EXPECT_NO_THROW(parse_json(text, "x"));
  for (size_t length = 0; length < text.size(); ++length)
    EXPECT_THROW(parse_json(text.substr(0, length), "x"), Error) << length;
}

TEST(MappedFile, HoldsTheBytesEvenAfterTheFileIsGone) {
  const Scratch scratch;
  write_file(scratch / "file", "bytes");
  const MappedFile file(scratch / "file");
  fs::remove(scratch / "file");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.data()), file.size()), "bytes");
}

TEST(MappedFile, AnEmptyFileIsEmptyAndAFolderIsAnError) {
  const Scratch scratch;
  write_file(scratch / "empty", "");
  EXPECT_EQ(MappedFile(scratch / "empty").size(), 0u);
  EXPECT_THAT(error_of([&] { MappedFile file(scratch.path()); }), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of([&] { MappedFile file(scratch / "absent"); }), HasSubstr("cannot be opened"));
}

}  // namespace
}  // namespace tessera

// The index of a folder: what is encoded, what is kept, and what a kill leaves.
#include "tasks/search.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "core/files.h"
#include "layers/promises.h"
#include "support/ordinary_user.h"
#include "support/scratch.h"
#include "tasks/tiny_models.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using testing::write_colour;

constexpr Colour kRed{255, 0, 0}, kGreen{0, 255, 0}, kBlue{0, 0, 255};

std::string told(const IndexChanges& changes) {
  std::string text = std::to_string(changes.encoded) + " encoded, " + std::to_string(changes.kept) + " kept";
  if (changes.removed > 0) text += ", " + std::to_string(changes.removed) + " removed";
  if (changes.bad > 0) text += ", " + std::to_string(changes.bad) + " bad";
  return text;
}

/// A folder with three pictures, and a model that tells their colours.
class SearchIndex : public ::testing::Test {
 protected:
  SearchIndex() : model_(testing::colour_model(scratch_ / "model")), pictures_(scratch_ / "pictures") {
    write_colour(pictures_ / "red.png", kRed);
    write_colour(pictures_ / "green.png", kGreen);
    write_colour(pictures_ / "sub/blue.png", kBlue);
    testing::before_encoding() = [this](int64_t count) { encoded_ += count; };
  }
  ~SearchIndex() override { testing::before_encoding() = nullptr; }

  fs::path file() const { return index_file(pictures_); }

  /// Updates the index and expects that as many pictures were encoded as it says.
  std::string update(const IndexOptions& options = {}) { return update(pictures_, file(), options); }
  std::string update(const fs::path& folder, const fs::path& index, const IndexOptions& options = {}) {
    encoded_ = 0;
    const IndexChanges changes = update_index(folder, index, model_, options);
    EXPECT_EQ(changes.encoded, encoded_);
    return told(changes);
  }

  std::vector<std::string> found(const std::string& text, int64_t top, const fs::path& index) const {
    const Tensor query = TextEmbedder(model_).embed(std::span(&text, 1))[0];
    std::vector<std::string> paths;
    for (const Found& one : search_index(PictureIndex::load(index), query, top)) paths.push_back(one.path);
    return paths;
  }
  std::string path(const std::string& name) const { return (pictures_ / name).string(); }

  /// Loads the index and expects that every vector in it is that of the picture as it is now.
  std::vector<std::string> entries_of_an_honest_index(const fs::path& index) const {
    const PictureIndex loaded = PictureIndex::load(index);
    std::vector<std::string> names;
    for (size_t i = 0; i < loaded.entries.size(); ++i) {
      names.push_back(loaded.entries[i].path);
      const Image image = read_image(loaded.folder / names.back());
      const Tensor colour =
          torch::tensor({image.at(0, 0, 0), image.at(0, 0, 1), image.at(0, 0, 2)}).to(torch::kFloat32);
      EXPECT_LT(testing::distance(loaded.vectors[static_cast<int64_t>(i)], unit(colour)), 1e-6) << names.back();
    }
    return names;
  }

  testing::Scratch scratch_;
  Model model_;
  fs::path pictures_;
  int64_t encoded_ = 0;
};

void touch(const fs::path& file) { fs::last_write_time(file, fs::last_write_time(file) + std::chrono::seconds(2)); }

TEST_F(SearchIndex, FindsPicturesByTextBestFirst) {
  EXPECT_EQ(update(), "3 encoded, 0 kept");
  EXPECT_THAT(found("red", 1, file()), ElementsAre(path("red.png")));
  EXPECT_THAT(found("blue blue green", 2, file()), ElementsAre(path("sub/blue.png"), path("green.png")));
  EXPECT_EQ(found("red", 99, file()).size(), 3U);
  const PictureIndex index = PictureIndex::load(file());
  const auto best = search_index(index, torch::tensor({3.0F, 0.0F, 4.0F}), 1);
  EXPECT_FLOAT_EQ(best.at(0).score, 0.8F) << "a cosine, whatever the query's length";
  EXPECT_EQ(index.fingerprint, model_fingerprint(model_));
  EXPECT_EQ(fs::path(index.model), model_.folder);
}

TEST_F(SearchIndex, OnlyChangedPicturesAreEncodedAgain) {
  update();
  EXPECT_EQ(update(), "0 encoded, 3 kept");
  write_colour(pictures_ / "red.png", kBlue);
  touch(pictures_ / "red.png");
  write_colour(pictures_ / "new.png", kGreen, 16);
  fs::remove(pictures_ / "green.png");
  EXPECT_EQ(update(), "1 encoded, 2 kept, 1 removed")
      << "red.png now holds the bytes of blue.png, whose vector is known";
  EXPECT_THAT(entries_of_an_honest_index(file()), UnorderedElementsAre("red.png", "new.png", "sub/blue.png"));
  write_colour(pictures_ / "red.png", {10, 200, 30});
  EXPECT_EQ(update(), "1 encoded, 2 kept");
  EXPECT_THAT(entries_of_an_honest_index(file()), UnorderedElementsAre("red.png", "new.png", "sub/blue.png"));
}

TEST_F(SearchIndex, ATouchedOrMovedPictureKeepsItsVector) {
  update();
  touch(pictures_ / "red.png");
  EXPECT_EQ(update(), "0 encoded, 3 kept");
  fs::rename(pictures_ / "green.png", pictures_ / "sub/moved.png");
  fs::copy(pictures_ / "red.png", pictures_ / "copy.png");
  EXPECT_EQ(update(), "0 encoded, 4 kept, 1 removed");
  EXPECT_THAT(entries_of_an_honest_index(file()),
              UnorderedElementsAre("red.png", "copy.png", "sub/blue.png", "sub/moved.png"));
}

TEST_F(SearchIndex, AnUpdatedIndexFindsWhatANewOneFinds) {
  update();
  write_colour(pictures_ / "a.png", {200, 30, 0});
  write_colour(pictures_ / "green.png", {0, 180, 90});
  fs::remove(pictures_ / "sub/blue.png");
  update();
  update(pictures_, scratch_ / "fresh.safetensors");
  for (const char* query : {"red", "green", "blue", "white"})
    EXPECT_EQ(found(query, 9, file()), found(query, 9, scratch_ / "fresh.safetensors")) << query;
}

TEST_F(SearchIndex, RebuildEncodesEverythingAgain) {
  update();
  EXPECT_EQ(update({.rebuild = true}), "3 encoded, 0 kept");
}

TEST_F(SearchIndex, ItsOwnFilesAreNoPictures) {
  update();
  EXPECT_THAT(entries_of_an_honest_index(file()), UnorderedElementsAre("red.png", "green.png", "sub/blue.png"));
  EXPECT_EQ(file(), pictures_ / ".tessera-index/index.safetensors");
}

TEST_F(SearchIndex, ABadPictureIsNamedAndWhatWasDoneIsKept) {
  write_file(pictures_ / "s.png", "no picture");
  EXPECT_THAT(error_of([&] { update({.feed = {.batch = 1}}); }), HasSubstr("s.png"));
  EXPECT_THAT(entries_of_an_honest_index(file()), UnorderedElementsAre("red.png", "green.png"));
  int reported = 0;
  IndexOptions skip;
  skip.feed.bad = [&](size_t, const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("s.png"));
    ++reported;
  };
  EXPECT_EQ(update(skip), "1 encoded, 2 kept, 1 bad");
  EXPECT_EQ(reported, 1);
  EXPECT_THAT(entries_of_an_honest_index(file()), UnorderedElementsAre("red.png", "green.png", "sub/blue.png"));
  write_colour(pictures_ / "s.png", kRed, 16);
  EXPECT_EQ(update(), "1 encoded, 3 kept") << "mended";
}

TEST_F(SearchIndex, APictureThatTurnsBadLosesItsVector) {
  update();
  write_file(pictures_ / "red.png", "no picture");
  IndexOptions skip;
  skip.feed.bad = [](size_t, const Error&) {};
  EXPECT_EQ(update(skip), "0 encoded, 2 kept, 1 bad");
  EXPECT_THAT(entries_of_an_honest_index(file()), UnorderedElementsAre("green.png", "sub/blue.png"));
}

TEST_F(SearchIndex, AFolderWithoutPicturesIsAnError) {
  fs::create_directories(scratch_ / "empty");
  EXPECT_THAT(error_of([&] { update(scratch_ / "empty", scratch_ / "x.safetensors"); }),
              HasSubstr("holds no pictures"));
  EXPECT_FALSE(fs::exists(scratch_ / "x.safetensors"));
  EXPECT_THAT(error_of([&] { update(scratch_ / "gone", scratch_ / "x.safetensors"); }), HasSubstr("is no folder"));
}

TEST_F(SearchIndex, AnotherModelsIndexIsRefusedAndLeftAlone) {
  update();
  const std::string before = read_file(file());
  auto words = testing::colour_words();
  words["red"] = {0, 0, 1};
  const Model other = testing::colour_model(scratch_ / "other", words);
  EXPECT_THAT(error_of([&] { update_index(pictures_, file(), other); }),
              AllOf(HasSubstr("index.safetensors: was built with another model"),
                    HasSubstr((scratch_ / "model").string()), HasSubstr("--rebuild")));
  EXPECT_EQ(read_file(file()), before);
  EXPECT_EQ(update_index(pictures_, file(), other, {.rebuild = true}).encoded, 3);
  EXPECT_EQ(PictureIndex::load(file()).fingerprint, model_fingerprint(other));
}

TEST_F(SearchIndex, AQueryOfAnotherWidthIsAnError) {
  update();
  EXPECT_THAT(error_of([&] { search_index(PictureIndex::load(file()), torch::ones({4}), 1); }),
              HasSubstr("has vectors of 3 numbers, the query has 4"));
}

TEST_F(SearchIndex, AMovedFolderTakesItsIndexAlong) {
  update();
  fs::rename(pictures_, scratch_ / "elsewhere");
  pictures_ = scratch_ / "elsewhere";
  EXPECT_THAT(found("green", 1, file()), ElementsAre(path("green.png")));
  EXPECT_EQ(update(), "0 encoded, 3 kept");
}

TEST_F(SearchIndex, KnowsItsFolderWhereItIsKeptElsewhere) {
  const fs::path apart = scratch_ / "apart/index.safetensors";
  update(pictures_, apart);
  EXPECT_FALSE(fs::exists(pictures_ / ".tessera-index"));
  EXPECT_THAT(found("green", 1, apart), ElementsAre(path("green.png")));
}

TEST_F(SearchIndex, OfAnotherFolderIsNotTakenForThisOnes) {
  // As two unpacked archives have them: same names, sizes and times, other pictures.
  const fs::path other = scratch_ / "other-pictures", apart = scratch_ / "apart.safetensors";
  const std::string svg = "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'><path d='M0 0h8v8H0z' fill='";
  write_file(pictures_ / "same.svg", svg + "#f00'/></svg>");
  write_file(other / "same.svg", svg + "#0f0'/></svg>");
  fs::last_write_time(other / "same.svg", fs::last_write_time(pictures_ / "same.svg"));
  update(pictures_, apart);
  update(other, apart);
  EXPECT_THAT(entries_of_an_honest_index(apart), ElementsAre("same.svg"));
}

TEST_F(SearchIndex, AFolderMayBeGivenInAnyForm) {
  const fs::path before = fs::current_path();
  fs::current_path(scratch_.path());
  update("pictures", "pictures/.tessera-index/index.safetensors");
  for (const char* form : {"pictures/", "./pictures", "pictures/../pictures", "pictures//"}) {
    EXPECT_EQ(update(form, index_file(form)), "0 encoded, 3 kept") << form;
    EXPECT_THAT(entries_of_an_honest_index(file()), UnorderedElementsAre("red.png", "green.png", "sub/blue.png"))
        << form;
  }
  fs::current_path(pictures_);
  EXPECT_EQ(update(".", index_file(".")), "0 encoded, 3 kept");
  EXPECT_THAT(found("red", 1, usual_index()), ElementsAre("red.png"));
  fs::current_path(before);
}

TEST_F(SearchIndex, AFolderThatMayNotBeWrittenIsReadAndIndexedElsewhere) {
  update();
  fs::permissions(scratch_.path(), testing::kReadable);
  fs::create_directories(scratch_ / "mine");
  fs::permissions(scratch_ / "mine", fs::perms::all);
  for (const fs::path& folder : {pictures_, file().parent_path()})
    fs::permissions(folder, testing::kReadable & ~fs::perms::owner_write);
  {
    const testing::OrdinaryUser user;
    if (user.modes_count()) {
      EXPECT_THAT(found("red", 1, file()), ElementsAre(path("red.png")));
      EXPECT_THAT(error_of([&] { update(); }), HasSubstr("index.safetensors: cannot be written"));
      EXPECT_EQ(update(pictures_, scratch_ / "mine/index.safetensors"), "3 encoded, 0 kept");
    }
  }
  for (const fs::path& folder : {pictures_, file().parent_path()}) fs::permissions(folder, fs::perms::owner_all);
}

TEST_F(SearchIndex, TwoWritersDoNotMeet) {
  write_file(pictures_ / "a.png", "no picture");
  IndexOptions options;
  std::string second;
  options.feed.bad = [&](size_t, const Error&) { second = error_of([&] { update_index(pictures_, file(), model_); }); };
  update(options);
  EXPECT_THAT(second, HasSubstr("index.safetensors: is being updated by another process"));
  EXPECT_NO_THROW(update(options)) << "the first has let it go";
}

TEST_F(SearchIndex, AKillAtAnyPictureLosesOnlyWhatWasUnderWay) {
  for (int i = 0; i < 4; ++i)
    write_colour(pictures_ / ("more" + std::to_string(i) + ".png"), {static_cast<uint8_t>(40 * i + 20), 99, 7});
  const int64_t all = 7;
  const IndexOptions often{.feed = {.batch = 1}, .save_every = 0};
  for (int64_t before_kill = 0; before_kill < all; ++before_kill) {
    fs::remove_all(file().parent_path());
    const pid_t child = ::fork();
    if (child == 0) {
      at::set_num_threads(1);  // other threads do not live on in a child
      int64_t seen = 0;
      testing::before_encoding() = [&](int64_t) {
        if (seen++ == before_kill) ::raise(SIGKILL);
      };
      update_index(pictures_, file(), model_, often);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << before_kill;
    ASSERT_EQ(fs::exists(file()), before_kill > 0);
    if (before_kill > 0) {
      EXPECT_EQ(entries_of_an_honest_index(file()).size(), static_cast<size_t>(before_kill));
    }
    EXPECT_EQ(update(), told({all - before_kill, before_kill}));
    EXPECT_EQ(entries_of_an_honest_index(file()).size(), static_cast<size_t>(all));
  }
}

TEST_F(SearchIndex, AKillDuringAnUpdateNeverLies) {
  update();
  const std::string old = read_file(file());
  write_colour(pictures_ / "green.png", {9, 120, 7});
  write_colour(pictures_ / "more.png", {120, 9, 7});
  fs::remove(pictures_ / "red.png");
  write_file(pictures_ / "zz.png", "the moment at which the index is copied");
  std::string midway;
  IndexOptions often{.feed = {.batch = 1}, .save_every = 0};
  often.feed.bad = [&](size_t, const Error&) { midway = read_file(file()); };
  update(often);
  ASSERT_NE(midway, old);
  write_file(file(), midway);
  EXPECT_THAT(entries_of_an_honest_index(file()), UnorderedElementsAre("green.png", "more.png", "sub/blue.png"));
}

TEST_F(SearchIndex, WhatAKilledWriterLeftIsRemoved) {
  update();
  const std::string whole = read_file(file());
  const fs::path torn = file().string() + ".tmp.a1B2c3";
  const fs::path foreign = file().parent_path() / "notes.txt";
  write_file(foreign, "not ours");
  std::ofstream(torn) << whole.substr(0, whole.size() / 2);
  EXPECT_THAT(found("red", 1, file()), ElementsAre(path("red.png"))) << "a search does not mind it";
  EXPECT_EQ(update(), "0 encoded, 3 kept");
  EXPECT_FALSE(fs::exists(torn));
  EXPECT_TRUE(fs::exists(foreign));
}

TEST_F(SearchIndex, ATornFileIsAnErrorThatSaysWhatToDo) {
  update();
  const std::string whole = read_file(file());
  for (size_t length = 0; length < whole.size(); length += length < 16 ? 1 : 7) {
    std::ofstream(file(), std::ios::binary) << whole.substr(0, length);
    EXPECT_THAT(error_of([&] { PictureIndex::load(file()); }),
                AllOf(HasSubstr("index.safetensors"), HasSubstr("--rebuild")))
        << length;
  }
  EXPECT_THAT(error_of([&] { update(); }), HasSubstr("--rebuild"));
  EXPECT_EQ(update({.rebuild = true}), "3 encoded, 0 kept");
}

TEST_F(SearchIndex, AFileThatIsNoIndexIsAnError) {
  const fs::path model = scratch_ / "model/model.safetensors";
  EXPECT_THAT(error_of([&] { PictureIndex::load(model); }), HasSubstr("is no picture index"));
  EXPECT_THAT(error_of([&] { PictureIndex::load(scratch_ / "gone.safetensors"); }),
              HasSubstr("there is no index; build one"));
  update();
  const PictureIndex good = PictureIndex::load(file());
  const auto with = [&](const std::string& lines, const Tensor& vectors, const Tensor& entries = {}) {
    const Tensor bytes =
        torch::from_blob(const_cast<char*>(lines.data()), {static_cast<int64_t>(lines.size())}, torch::kUInt8);
    save_checkpoint(file(), {{"vectors", vectors}, {"entries", entries.defined() ? entries : bytes}},
                    {{"format", "tessera-picture-index-1"}, {"folder", "f"}, {"model", "m"}, {"fingerprint", "0"}});
    return error_of([&] { PictureIndex::load(file()); });
  };
  const std::string line = R"({"path":"a.png","size":1,"modified":1,"hash":1})";
  EXPECT_THAT(with(line, torch::ones({2, 3})), HasSubstr("has 2 vectors for 1 pictures"));
  EXPECT_THAT(with(line, torch::ones({3})), HasSubstr("holds tensors of another kind"));
  EXPECT_THAT(with(line, torch::ones({1, 3}, torch::kFloat64)), HasSubstr("holds tensors of another kind"));
  EXPECT_THAT(with(line, torch::ones({1, 3}), torch::ones({3})), HasSubstr("holds tensors of another kind"));
  EXPECT_THAT(with("{\"path\":3}", torch::ones({1, 3})), HasSubstr("index.safetensors"));
  EXPECT_THAT(with("{", torch::ones({1, 3})), HasSubstr("index.safetensors"));
}

TEST_F(SearchIndex, ANameThatIsNoUtf8IsAnErrorThatNamesIt) {
  write_colour(pictures_ / "\xff.png", {1, 2, 3});
  EXPECT_THAT(error_of([&] { update(); }), HasSubstr("the name is not UTF-8"));
}

class UsualIndex : public SearchIndex {
 protected:
  UsualIndex() : before_(fs::current_path()) {
    ::setenv("XDG_STATE_HOME", (scratch_ / "state").c_str(), 1);
    fs::current_path(scratch_.path());
  }
  ~UsualIndex() override {
    fs::current_path(before_);
    ::unsetenv("XDG_STATE_HOME");
  }
  fs::path before_;
};

TEST_F(UsualIndex, IsTheOneBuiltLastUnlessOneIsHere) {
  EXPECT_THAT(error_of([] { usual_index(); }), HasSubstr("no index was built yet"));
  update();
  remember_index(file());
  EXPECT_EQ(usual_index(), file());
  update("pictures/sub", "pictures/sub/.tessera-index/index.safetensors");
  remember_index("pictures/sub/.tessera-index/index.safetensors");
  EXPECT_EQ(usual_index(), fs::current_path() / "pictures/sub/.tessera-index/index.safetensors");
  fs::current_path(pictures_);
  EXPECT_EQ(usual_index(), ".tessera-index/index.safetensors");
}

TEST_F(UsualIndex, AStateThatIsOldOrTornNeverNamesAnotherIndex) {
  update();
  remember_index(file());
  const fs::path state = scratch_ / "state/tessera/last-index";
  const std::string whole = read_file(state);
  for (size_t length = 0; length < whole.size() - 1; ++length) {
    write_file(state, whole.substr(0, length));
    try {
      EXPECT_EQ(PictureIndex::load(usual_index()).entries.size(), 3U) << "the folder of the index names it too";
    } catch (const Error& error) {
      EXPECT_NE(error.where(), "");
    }
  }
  write_file(state, whole);
  EXPECT_NO_THROW(PictureIndex::load(usual_index()));
  fs::remove_all(pictures_);
  EXPECT_THAT(error_of([] { usual_index(); }), HasSubstr("the index that was built last is gone"));
}

TEST_F(SearchIndex, APathMeansAnIndexInEachOfItsForms) {
  EXPECT_EQ(index_file("x.safetensors"), "x.safetensors");
  EXPECT_EQ(index_file(pictures_), pictures_ / ".tessera-index/index.safetensors");
  update();
  EXPECT_EQ(index_file(pictures_ / ".tessera-index"), file());
}

}  // namespace
}  // namespace tessera

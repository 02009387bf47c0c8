#include "data/icons.h"

#include "data/iconify.h"
#include "data/symbols.h"
#include "data/webdataset.h"
#include "fixtures.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

class Icons : public ::testing::Test {
 protected:
  Icons() {
    write_icon_packages(folder_ / "raw");
    options_.raw = (folder_ / "raw").string();
    options_.out = (folder_ / "icons").string();
    options_.size = 16;
    options_.shard = 2;
    options_.languages = {"en", "de"};
    options_.emoji = {"@iconify-json/flat", "@iconify-json/round"};
    options_.fonts = {};
    options_.namesakes = {};
    options_.clip_art = {};
    options_.icons = {"@iconify-json/plain"};
    options_.test = {"@iconify-json/fluent-emoji-flat"};
  }

  /// All files that were written, by name.
  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> result;
    for (const auto& entry : fs::directory_iterator(options_.out))
      result[entry.path().filename().string()] = read_file(entry.path());
    return result;
  }

  std::map<std::string, Sample> samples(const std::string& stem) const {
    const WebDataset dataset(expand_shards({options_.out + "/" + stem + "-*.tar"}));
    std::map<std::string, Sample> result;
    for (size_t i = 0; i < dataset.size(); ++i) {
      Sample sample = dataset.get(i);
      const std::string id =
          sample.metadata.at("style").get<std::string>() + " " + sample.metadata.at("id").get<std::string>();
      result[id] = std::move(sample);
    }
    return result;
  }

  testing::Scratch folder_;
  IconOptions options_;
};

template <class Map>
std::vector<std::string> keys(const Map& map) {
  std::vector<std::string> result;
  for (const auto& [key, value] : map) result.push_back(key);
  return result;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_F(Icons, EverySymbolGoesToItsSplit) {
  const IconSummary summary = prepare_icons(options_);
  EXPECT_EQ(keys(samples("train-emoji")), (Strings{"flat 1f525", "flat 1f600", "round 1f600"}));
  EXPECT_EQ(keys(samples("unseen-symbols")), Strings{"flat 1f44b"});
  EXPECT_EQ(keys(samples("fluent-emoji-flat")),
            (Strings{"fluent-emoji-flat 1f44b", "fluent-emoji-flat 1f525", "fluent-emoji-flat 1f600"}));
  EXPECT_EQ(keys(samples("train-icons")), Strings{"plain icon:plain:house-with-tree"});  // not the unseen waving hand
  EXPECT_EQ(summary.symbols, 3);
  EXPECT_EQ(summary.seen, 2);
  EXPECT_EQ(summary.unseen, 1);
  EXPECT_EQ(summary.unmatched, (std::map<std::string, int64_t>{{"round", 1}}));
  EXPECT_EQ(summary.names, (std::map<std::string, int64_t>{{"en", 3}, {"de", 1}}));
}

TEST_F(Icons, AnIconNamedLikeASymbolIsAPictureOfIt) {
  prepare_icons(options_);
  EXPECT_EQ(keys(samples("train-namesakes")), Strings{"plain 1f525"});
  EXPECT_EQ(samples("train-namesakes").at("plain 1f525").captions.at("en"), "fire");
  options_.namesakes = std::exchange(options_.icons, {});
  prepare_icons(options_);
  EXPECT_EQ(keys(samples("train-namesakes")), Strings{"plain 1f525"});
  EXPECT_FALSE(fs::exists(fs::path(options_.out) / "train-icons-00000.tar")) << "a set of namesakes gives nothing else";
}

TEST_F(Icons, ClipArtTeachesNothingOfAnUnseenSymbolAndABrokenDrawingIsReported) {
  const std::string about =
      "<metadata xmlns:c='c' xmlns:d='d' xmlns:r='r'><c:Work><d:title>%</d:title><d:subject><r:Bag>"
      "<r:li>waving hand</r:li><r:li>hot</r:li></r:Bag></d:subject></c:Work></metadata>";
  auto drawing = [&](const std::string& title) {
    return "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>" +
           std::string(about).replace(about.find('%'), 1, title) + "<path d='M0 0h9v9z'/></svg>";
  };
  write_debian_package(folder_ / "raw" / "art_1_all.deb",
                       {{"./usr/share/openclipart/svg/a/fire_01.svg", drawing("A  fire")},
                        {"./usr/share/openclipart/svg/a/hand.svg", drawing("Waving Hand")},
                        {"./usr/share/openclipart/svg/b/c d.svg", drawing("")},
                        {"./usr/share/openclipart/svg/b/broken.svg", "<svg"},
                        {"./usr/share/doc/art/readme.svg", "no drawing"}});
  options_.clip_art = {"art"};
  const IconSummary summary = prepare_icons(options_);
  const auto found = samples("train-clip-art");
  ASSERT_EQ(keys(found), (Strings{"openclipart icon:openclipart:a-fire_01", "openclipart icon:openclipart:b-c-d"}));
  const Sample& fire = found.begin()->second;
  EXPECT_EQ(fire.captions.at("en"), "A fire");
  EXPECT_EQ(fire.metadata.at("keywords"), (Json{{"en", {"hot"}}}));
  EXPECT_EQ(fire.metadata.at("group"), "a");
  EXPECT_EQ(found.rbegin()->second.captions.at("en"), "c d") << "the file names what has no title";
  EXPECT_EQ(keys(summary.left_out), Strings{"openclipart-b-broken"});
  EXPECT_EQ(keys(prepare_icons(options_).left_out), Strings{"openclipart-b-broken"}) << "also when nothing is drawn";
}

TEST_F(Icons, ASampleSaysWhatItIsAndWhereItIsFrom) {
  prepare_icons(options_);
  const Sample smile = samples("train-emoji").at("round 1f600");
  EXPECT_EQ(smile.captions,
            (std::map<std::string, std::string>{{"en", "grinning face"}, {"de", "grinsendes Gesicht"}}));
  EXPECT_EQ(smile.metadata, (Json{{"id", "1f600"},
                                  {"character", "😀"},
                                  {"group", "smileys"},
                                  {"subgroup", "face-smiling"},
                                  {"style", "round"},
                                  {"source", "@iconify-json/round@2.1.0"},
                                  {"licence", "CC0-1.0"},
                                  {"split", "train"},
                                  {"seen", true},
                                  {"skin_tone", false},
                                  {"captions", {{"en", "grinning face"}, {"de", "grinsendes Gesicht"}}},
                                  {"keywords", {{"en", {"face", "grin"}}, {"de", {"Gesicht"}}}}}));
  const Image image = picture_of(smile);
  EXPECT_EQ(image.height, 16);
  EXPECT_EQ(image.width, 16);
  EXPECT_EQ((std::array{image.at(8, 8, 0), image.at(8, 8, 1), image.at(8, 8, 3)}),
            (std::array<uint8_t, 3>{0, 128, 255}));
}

TEST_F(Icons, AWideDrawingStandsInTheMiddle) {
  prepare_icons(options_);
  const Sample house = samples("train-icons").begin()->second;
  EXPECT_EQ(house.captions.at("en"), "house with tree");
  const Image image = picture_of(house);
  EXPECT_EQ(image.height, 16);
  EXPECT_EQ(image.at(2, 15, 3), 0);
  EXPECT_EQ(image.at(4, 14, 3), 255);
  EXPECT_EQ(image.at(13, 15, 3), 0);
}

TEST_F(Icons, SkinTonesAreDrawnOnDemandAndStayOnTheSideOfTheirBase) {
  options_.skin_tones = true;
  prepare_icons(options_);
  const auto unseen = samples("unseen-symbols");
  EXPECT_EQ(keys(unseen), (Strings{"flat 1f44b", "round 1f44b-1f3fd"}));
  EXPECT_EQ(unseen.at("round 1f44b-1f3fd").metadata.at("skin_tone"), true);
}

TEST_F(Icons, NamesAndCorpus) {
  prepare_icons(options_);
  auto written = files();
  std::istringstream lines(written.at("names.jsonl"));
  std::map<std::string, Json> names;
  for (std::string line; std::getline(lines, line);) {
    const Json json = Json::parse(line);
    names[json.at("id").get<std::string>()] = json;
  }
  EXPECT_EQ(keys(names), (Strings{"1f44b", "1f525", "1f600"}));
  EXPECT_EQ(names.at("1f44b").at("seen"), false);
  EXPECT_EQ(names.at("1f600").at("styles"), (Json{"flat", "fluent-emoji-flat", "round"}));
  // Nothing of the unseen symbol, not even its words.
  EXPECT_EQ(written.at("corpus.txt"),
            "Gesicht\nface\nfire\nflame\ngrin\ngrinning face\ngrinsendes Gesicht\nhot\nhouse with tree\n");
}

TEST_F(Icons, TheSameInputsGiveTheSameBytes) {
  prepare_icons(options_);
  const auto first = files();
  EXPECT_EQ(prepare_icons(options_).drawn, 0) << "finished shards are kept";
  EXPECT_EQ(files(), first);
  fs::remove_all(options_.out);
  options_.threads = 1;
  prepare_icons(options_);
  EXPECT_EQ(files(), first);
}

TEST_F(Icons, OnlyWhatIsMissingIsDrawnAgain) {
  const int64_t all = prepare_icons(options_).shards;
  const auto first = files();
  fs::remove(fs::path(options_.out) / "train-emoji-00000.tar");
  write_file(fs::path(options_.out) / "train-icons-00000.tar", "half");
  EXPECT_EQ(prepare_icons(options_).drawn, 2);
  EXPECT_EQ(files(), first);
  options_.shard = 100;
  EXPECT_EQ(prepare_icons(options_).drawn, 2) << "of " << all << ", those that held a part of their pictures";
  EXPECT_FALSE(fs::exists(fs::path(options_.out) / "train-emoji-00001.tar")) << "a shard of the earlier options";
}

TEST_F(Icons, AKilledRunGoesOn) {
  struct Killed {};
  options_.threads = 1;
  EXPECT_THROW(prepare_icons(options_, [](int64_t, int64_t) { throw Killed(); }), Killed);
  const IconSummary summary = prepare_icons(options_);
  EXPECT_EQ(summary.drawn, summary.shards - 1);
}

TEST_F(Icons, TestStylesAreNeverTrainedOn) {
  for (const char* name : {"@iconify-json/fluent-emoji-flat", "@iconify-json/fluent-emoji", "@iconify-json/openmoji",
                           "fluentui-emoji", "Fluent Emoji High Contrast", "OpenMoji", "@someone/openmoji-black"})
    EXPECT_TRUE(is_test_style(name)) << name;
  for (const char* name : {"@iconify-json/noto", "twemoji", "fxemoji", "fluent", "emojione"})
    EXPECT_FALSE(is_test_style(name)) << name;
  options_.emoji.push_back("@iconify-json/fluent-emoji-flat");
  EXPECT_NE(testing::error_of([&] { prepare_icons(options_); }).find("never trained on"), std::string::npos);
  options_.emoji.pop_back();
  options_.icons.push_back("@iconify-json/openmoji");  // refused before it is looked for
  EXPECT_NE(testing::error_of([&] { prepare_icons(options_); }).find("never trained on"), std::string::npos);
}

TEST_F(Icons, ATestStyleUnderAnotherPackageNameIsRefused) {
  const Json set = {{"prefix", "harmless"}, {"icons", {{"fire", square("red")}}}};
  write_package(folder_ / "raw", "iconify-json-harmless-1.0.0.tgz",
                {{"name", "@iconify-json/harmless"}, {"version", "1.0.0"}},
                {{"icons.json", set.dump()}, {"info.json", R"({"name": "OpenMoji"})"}});
  options_.emoji = {"@iconify-json/harmless"};
  EXPECT_NE(testing::error_of([&] { prepare_icons(options_); }).find("never trained on"), std::string::npos);
}

TEST_F(Icons, BadInputsAreNamed) {
  const auto fails = [&](const std::string& expected) {
    const std::string message = testing::error_of([&] { prepare_icons(options_); });
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  };
  const IconOptions good = options_;
  options_.emoji = {"@iconify-json/absent"};
  fails("run scripts/fetch-data @iconify-json/absent");
  options_ = good;
  options_.languages = {"tlh"};
  fails("has no language 'tlh'");
  options_ = good;
  options_.size = 0;
  fails("size: must be from 8 to 2048");
  options_ = good;
  const auto replace = [&](const std::string& json) {
    write_package(folder_ / "raw", "iconify-json-flat-1.0.0.tgz",
                  {{"name", "@iconify-json/flat"}, {"version", "1.0.0"}}, {{"icons.json", json}});
  };
  replace("{\"prefix\": ");
  fails("is not valid JSON");
  replace(R"({"prefix": "flat", "icons": {"fire": {"body": 3}}})");
  fails("is no Iconify set");
  replace(R"({"prefix": "flat", "icons": {"fire": {"body": "<path", "width": 8, "height": 8}}})");
  fails("flat-1f525");
  replace(R"({"prefix": "flat", "icons": {"fire": {"body": "", "width": 0}}})");
  fails("width");
  write_file(folder_ / "raw" / "iconify-json-flat-1.0.0.tgz", "no archive");
  fails("iconify-json-flat-1.0.0.tgz");
}

TEST_F(Icons, NamesAreFoundHoweverTheyAreSpelled) {
  SymbolTable symbols(options_.raw, {"en"});
  EXPECT_EQ(symbols.find_name("Grinning_Face"), "1f600");
  EXPECT_EQ(symbols.find_name("wave"), "1f44b");
  EXPECT_EQ(symbols.find_name("flag-for-fire"), "1f525");
  EXPECT_EQ(symbols.find_name("unheard of"), "");
  symbols.add_name("hello", "1f44b");
  symbols.add_name("fire", "1f44b");
  symbols.add_name("flag for fire", "1f44b");
  EXPECT_EQ(symbols.find_name("HELLO"), "1f44b");
  EXPECT_EQ(symbols.find_name("fire"), "1f525") << "the better source stays";
  EXPECT_EQ(symbols.find_name("flag for fire"), "1f525");
  EXPECT_EQ(bare_name("Trinidad & Tobago"), "trinidadandtobago");
}

}  // namespace tessera

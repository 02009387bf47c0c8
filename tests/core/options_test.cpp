#include "core/options.h"

#include <gmock/gmock.h>

#include "core/registry.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

struct StageOptions {
  int64_t depth = 2;
  std::string kind = "plain";
  bool operator==(const StageOptions&) const = default;
};
TESSERA_OPTIONS(StageOptions, depth, kind)

struct TowerOptions {
  int64_t window = 7;
  double rate = 0.5;
  bool causal = false;
  std::string activation = "gelu";
  StageOptions stem;
  std::vector<StageOptions> stages = {{}, {}};
  std::optional<double> bias = std::nullopt;
  std::optional<StageOptions> head = std::nullopt;
  std::map<std::string, double> rates;
  std::vector<std::vector<int64_t>> grids;
  Json free;
  bool operator==(const TowerOptions&) const = default;
};
TESSERA_OPTIONS(TowerOptions, window, rate, causal, activation, stem, stages, bias, head, rates, grids, free)

TowerOptions read(const std::string& text) { return read_options<TowerOptions>(Json::parse(text), "recipe.json"); }
std::string refused(const std::string& text) {
  return error_of([&] { read(text); });
}

TEST(Options, AbsentKeysKeepTheirDefault) {
  EXPECT_EQ(read("{}"), TowerOptions());
  const TowerOptions one = read(R"({"window": 3})");
  EXPECT_EQ(one.window, 3);
  EXPECT_EQ(one.stages.size(), 2u);
}

TEST(Options, WritingThenReadingGivesTheSame) {
  TowerOptions options;
  options.window = -1;
  options.rate = 0.1;  // no finite binary fraction: it must survive the text
  options.causal = true;
  options.stem = {5, "stem"};
  options.stages = {{1, "a"}, {2, "b"}, {3, "c"}};
  options.bias = -10;
  options.head = StageOptions{9, "head"};
  options.rates = {{"en", 0.25}, {"de", 1e-3}};
  options.grids = {{1, 2}, {}, {3}};
  options.free = {{"anything", {1, "two", nullptr}}};
  const Json json = Json::parse(write_options(options).dump());
  EXPECT_EQ(read_options<TowerOptions>(json, ""), options);
  EXPECT_EQ(read_options<TowerOptions>(write_options(TowerOptions()), ""), TowerOptions());
}

TEST(Options, NullEmptiesAnOptional) {
  EXPECT_EQ(read(R"({"bias": null})").bias, std::nullopt);
  EXPECT_EQ(read(R"({"bias": 2})").bias, 2.0);
  EXPECT_EQ(read(R"({"head": {"depth": 4}})").head, (StageOptions{4, "plain"}));
}

TEST(Options, AListReplacesTheDefaultList) { EXPECT_EQ(read(R"({"stages": [{"depth": 8}]})").stages.size(), 1u); }

TEST(Options, UnknownKeyNamesTheNearest) {
  EXPECT_THAT(refused(R"({"windwo": 3})"), HasSubstr("recipe.json: unknown key 'windwo'; did you mean 'window'?"));
  EXPECT_THAT(refused(R"({"zzzzzzzzzzzz": 3})"), HasSubstr("known: window, rate"));
  EXPECT_THAT(refused(R"({"stages": [{}, {"dept": 1}]})"),
              HasSubstr("recipe.json.stages[1]: unknown key 'dept'; did you mean 'depth'?"));
}

TEST(Options, MistypedKeyNamesThePlaceAndWhatStandsThere) {
  EXPECT_THAT(refused(R"({"window": "seven"})"),
              HasSubstr(R"(recipe.json.window: expected an integer, found "seven")"));
  EXPECT_THAT(refused(R"({"window": 1.5})"), HasSubstr("recipe.json.window: expected an integer"));
  EXPECT_THAT(refused(R"({"rate": true})"), HasSubstr("recipe.json.rate: expected a number"));
  EXPECT_THAT(refused(R"({"causal": 1})"), HasSubstr("recipe.json.causal: expected true or false"));
  EXPECT_THAT(refused(R"({"activation": ["gelu"]})"), HasSubstr("recipe.json.activation: expected a string"));
  EXPECT_THAT(refused(R"({"stem": 3})"), HasSubstr("recipe.json.stem: expected an object"));
  EXPECT_THAT(refused(R"({"stages": {}})"), HasSubstr("recipe.json.stages: expected a list"));
  EXPECT_THAT(refused(R"({"stages": [{}, {"depth": []}]})"),
              HasSubstr("recipe.json.stages[1].depth: expected an integer"));
  EXPECT_THAT(refused(R"({"rates": {"en": "x"}})"), HasSubstr("recipe.json.rates.en: expected a number"));
  EXPECT_THAT(refused(R"({"grids": [[1], [2, "x"]]})"), HasSubstr("recipe.json.grids[1][1]: expected an integer"));
  EXPECT_THAT(refused("[]"), HasSubstr("recipe.json: expected an object"));
}

TEST(Options, AWholeNumberWithAPointIsAnInteger) { EXPECT_EQ(read(R"({"window": 7.0})").window, 7); }

TEST(Options, AnIntegerOutOfRangeIsRefused) {
  EXPECT_THAT(refused(R"({"window": 1e300})"), HasSubstr("recipe.json.window"));
  EXPECT_THAT(refused(R"({"window": 18446744073709551615})"), HasSubstr("recipe.json.window"));
}

TEST(Options, ALongValueIsCutInTheMessage) {
  EXPECT_LT(refused(R"({"window": ")" + std::string(5000, 'x') + "\"}").size(), 150u);
}

TEST(Nearest, FindsATypoAndLeavesTheFarAlone) {
  EXPECT_EQ(nearest("tempreature", {"temper", "temperature", "time"}), "temperature");
  EXPECT_EQ(nearest("window", {"window"}), "window");
  EXPECT_EQ(nearest("xyz", {"attention", "position"}), "");
  EXPECT_EQ(nearest("anything", {}), "");
}

TEST(Choice, UnknownValueNamesTheNearest) {
  EXPECT_NO_THROW(check_choice("mean", {"first", "mean"}, "pool"));
  EXPECT_THAT(error_of([] {
                check_choice("maen", {"first", "mean"}, "pool");
              }),
              HasSubstr("pool: unknown value 'maen'; did you mean 'mean'?"));
}

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
};
struct SquareOptions {
  double side = 1;
};
TESSERA_OPTIONS(SquareOptions, side)
struct Square : Shape {
  explicit Square(const SquareOptions& options) : side(options.side) {}
  double area() const override { return side * side; }
  double side;
};

Registry<Shape>& shapes() {
  static Registry<Shape> registry("shape");
  return registry;
}
const Registration<Shape, Square, SquareOptions> square(shapes(), "square");

TEST(Registry, BuildsWhatKindNames) {
  EXPECT_EQ(shapes().kinds(), std::vector<std::string>{"square"});
  EXPECT_EQ(shapes().make({{"kind", "square"}, {"side", 3}}, "shape")->area(), 9);
}

TEST(Registry, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(error_of([] {
                shapes().make({{"kind", "sqare"}}, "model.shape");
              }),
              HasSubstr("model.shape.kind: unknown value 'sqare'; did you mean 'square'?"));
  EXPECT_THAT(error_of([] { shapes().make({{"side", 3}}, "model.shape"); }), HasSubstr("\"kind\""));
  EXPECT_THAT(error_of([] { shapes().make({{"kind", 3}}, "model.shape"); }), HasSubstr("\"kind\""));
  EXPECT_THAT(error_of([] { shapes().make("square", "model.shape"); }), HasSubstr("model.shape"));
  EXPECT_THAT(error_of([] {
                shapes().make({{"kind", "square"}, {"sides", 3}}, "model.shape");
              }),
              HasSubstr("model.shape: unknown key 'sides'; did you mean 'side'?"));
}

}  // namespace
}  // namespace tessera

#include "train/evolution.h"

#include <gmock/gmock.h>

#include <numeric>

#include "core/error.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::error_of;

/// A space of several thousand networks.
SearchSpace space() {
  Json definition = {{0, 32}}, kept = {Json::array({32, 24, 16})};
  for (const int64_t dim : {32, 48}) {
    for (int block = 0; block < 3; ++block) {
      definition.push_back({1, {dim, 4, 8}, {dim, 64}, 1});
      kept.push_back({{"attn", {32, 24, 16}}, {"mlp", {64, 48, 32}}, {"layer", block > 0 ? Json{dim, 0} : Json()}});
    }
    if (dim == 32) {
      definition.push_back({3, 32, 48});
      kept.push_back(Json::array({48, 40, 32, 24}));
    }
  }
  return SearchSpace(read_definition(definition, ""), kept, "");
}

int64_t macs(const ResnasDefinition& network) { return cost_of(network, 56, 3, false).macs; }

SearchOptions options() {
  return {.macs = 900000, .population = 60, .iterations = 6, .parents = 15, .mutations = 20, .crossovers = 20};
}

/// A score that a search can climb: how much of the network stands in its hidden channels.
double score(const std::vector<int64_t>& widths) {
  return std::accumulate(widths.begin(), widths.end(), 0.0,
                         [](double sum, int64_t w) { return sum + (w >= 48 ? static_cast<double>(w) : 0); });
}

std::vector<RatedNetwork> searched(const SearchSpace& within, const SearchOptions& how, int64_t seed) {
  Evolution evolution(within, how, macs, seed);
  for (auto networks = evolution.propose(); !networks.empty(); networks = evolution.propose()) {
    for (auto& network : networks) network.score = score(network.widths);
    evolution.rated(networks);
  }
  return evolution.best();
}

TEST(Evolution, RatesNetworksWithinTheBudgetEachOnce) {
  const SearchSpace within = space();
  const auto rated = searched(within, options(), 1);
  EXPECT_LE(rated.size(), 60U + 6 * 40);
  EXPECT_GT(rated.size(), 60U + 5 * 40) << "crossovers of parents that are alike give up, others do not";
  std::set<std::vector<int64_t>> different;
  for (const auto& network : rated) {
    EXPECT_LE(network.macs, 900000);
    EXPECT_GE(network.macs, 0.975 * 900000);
    const ResnasDefinition definition = within.network(network.widths);
    EXPECT_EQ(macs(definition), network.macs);
    EXPECT_NO_THROW(read_definition(write_definition(definition), "")) << "channels fit together";
    different.insert(network.widths);
  }
  EXPECT_EQ(different.size(), rated.size());
  for (size_t i = 1; i < rated.size(); ++i) EXPECT_GE(rated[i - 1].score, rated[i].score);
}

TEST(Evolution, FindsBetterOnesThanAsManyRandomDraws) {
  const SearchSpace within = space();
  SearchOptions random = options();
  random.population = 60 + 6 * 40, random.iterations = 0;
  double evolved = 0, drawn = 0;
  for (int64_t seed = 0; seed < 5; ++seed) {
    evolved += searched(within, options(), seed).front().score;
    drawn += searched(within, random, seed).front().score;
  }
  EXPECT_GT(evolved, drawn);
}

TEST(Evolution, FollowsFromSeedAndScores) {
  const SearchSpace within = space();
  const auto widths = [](const std::vector<RatedNetwork>& networks) {
    std::vector<std::vector<int64_t>> all;
    for (const auto& network : networks) all.push_back(network.widths);
    return all;
  };
  EXPECT_EQ(widths(searched(within, options(), 1)), widths(searched(within, options(), 1)));
  EXPECT_NE(widths(searched(within, options(), 1)), widths(searched(within, options(), 2)));
}

TEST(Evolution, ASmallSpaceIsSearchedToItsEnd) {
  const SearchSpace within(read_definition({{0, 16}, {1, {16, 2, 8}, {16, 32}, 1}}, ""),
                           {nullptr, {{"attn", {16, 8}}, {"mlp", {32, 16}}}}, "");
  SearchOptions all = options();
  all.window = 0;
  EXPECT_EQ(searched(within, all, 1).size(), 4U);
}

TEST(Evolution, ABudgetThatNothingMeetsIsAnErrorThatNamesTheRange) {
  const SearchSpace within = space();
  SearchOptions nothing = options();
  nothing.macs = 1000;
  Evolution evolution(within, nothing, macs, 1);
  EXPECT_THAT(error_of([&] { evolution.propose(); }), ::testing::HasSubstr(std::to_string(macs(within.widest()))));
  nothing.macs = 0;
  EXPECT_THAT(error_of([&] { check_search(nothing, "search"); }), ::testing::HasSubstr("search.macs"));
}

}  // namespace
}  // namespace tessera

#pragma once
#include <functional>
#include <set>

#include "encoders/search_space.h"

namespace tessera {

/// How the sub-networks of a super-network are searched (Liao et al., 2021).
struct SearchOptions {
  int64_t macs = 0;          ///< budget: multiply-adds of a pass over one picture (see cost_of())
  double window = 0.975;     ///< smallest part of the budget that a network may take
  int64_t population = 500;  ///< networks drawn at random to begin with
  int64_t iterations = 20;   ///< times that new ones are made of the best
  int64_t parents = 75;      ///< how many are the best
  int64_t mutations = 75;    ///< new ones an iteration of one parent each
  int64_t crossovers = 75;   ///< new ones an iteration of two
  double mutation = 0.3;     ///< probability that a width is drawn anew
  double crossover = 0.5;    ///< probability that a width is the other parent's
};
TESSERA_OPTIONS(SearchOptions, macs, window, population, iterations, parents, mutations, crossovers, mutation,
                crossover)

/// @throws Error naming the value that cannot be
void check_search(const SearchOptions& options, const std::string& where);

/// A sub-network and how good it is.
struct RatedNetwork {
  std::vector<int64_t> widths;  ///< see SearchSpace
  int64_t macs = 0;
  double score = 0;
};
TESSERA_OPTIONS(RatedNetwork, widths, macs, score)

/// Evolutionary search for the best network within a budget. It only says what to rate next:
///
///   for (auto networks = evolution.propose(); !networks.empty(); networks = evolution.propose()) {
///     for (auto& network : networks) network.score = ...;
///     evolution.rated(networks);
///   }
///
/// What is proposed follows from the options, the seed and what was rated before, so that a search that is repeated
/// with the same scores is the same search. No network is proposed twice.
class Evolution {
 public:
  /// @param cost  multiply-adds of a network
  Evolution(const SearchSpace& space, const SearchOptions& options,
            std::function<int64_t(const ResnasDefinition&)> cost, int64_t seed);

  /// The next generation, with scores of 0; empty after the last. In a small space it may be smaller than asked for.
  /// @throws Error where not one network is within the budget, saying what the widest and the narrowest take
  std::vector<RatedNetwork> propose();
  void rated(const std::vector<RatedNetwork>& networks);

  /// All that were rated, the best first; of equals the earlier.
  const std::vector<RatedNetwork>& best() const { return best_; }
  int64_t generation() const { return generation_; }
  /// How many networks a whole search rates, at most.
  int64_t expected() const;

 private:
  using Widths = std::vector<int64_t>;
  void fill(std::vector<RatedNetwork>& networks, size_t count, const std::function<Widths()>& make);
  bool add(std::vector<RatedNetwork>& networks, const Widths& widths);
  Widths mutated(const Widths& parent, Random& random) const;
  Widths crossed(const Widths& one, const Widths& other, Random& random) const;
  [[noreturn]] void none_fits() const;

  const SearchSpace& space_;
  SearchOptions options_;
  std::function<int64_t(const ResnasDefinition&)> cost_;
  uint64_t seed_;
  int64_t generation_ = 0;  // that propose() makes next
  std::set<Widths> known_;
  std::vector<RatedNetwork> best_;
};

}  // namespace tessera

#include "train/evolution.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace tessera {
namespace {

constexpr uint64_t kEvolution = 21;  // a purpose of draws; see learner.h for others
constexpr size_t kAttempts = 2000;   // for each network that is wanted, of which most are outside the budget

void check_part(double value, const std::string& where) {
  if (!(value >= 0 && value <= 1)) throw Error("must lie in [0, 1]", where);
}

}  // namespace

void check_search(const SearchOptions& o, const std::string& where) {
  if (o.macs < 1) throw Error("must be positive", where + ".macs", "give the multiply-adds that a network may take");
  check_part(o.window, where + ".window");
  check_part(o.mutation, where + ".mutation");
  check_part(o.crossover, where + ".crossover");
  if (o.population < 1 || o.parents < 1) throw Error("population and parents must be positive", where);
  if (o.iterations < 0 || o.mutations < 0 || o.crossovers < 0)
    throw Error("iterations, mutations and crossovers must not be negative", where);
}

Evolution::Evolution(const SearchSpace& space, const SearchOptions& options,
                     std::function<int64_t(const ResnasDefinition&)> cost, int64_t seed)
    : space_(space), options_(options), cost_(std::move(cost)), seed_(static_cast<uint64_t>(seed)) {}

int64_t Evolution::expected() const {
  return options_.population + options_.iterations * (options_.mutations + options_.crossovers);
}

bool Evolution::add(std::vector<RatedNetwork>& networks, const Widths& drawn) {
  const ResnasDefinition network = space_.network(drawn);
  for (const ResnasLayer& layer : network.layers)
    if (layer.reduces && layer.out < layer.dim) return false;
  const Widths widths = space_.widths(network);
  const int64_t macs = cost_(network);
  const auto budget = static_cast<double>(options_.macs), taken = static_cast<double>(macs);
  if (taken > budget || taken < options_.window * budget) return false;
  if (!known_.insert(widths).second) return false;
  networks.push_back({widths, macs, 0});
  return true;
}

void Evolution::fill(std::vector<RatedNetwork>& networks, size_t count, const std::function<Widths()>& make) {
  size_t found = 0;
  for (size_t attempt = 0; found < count && attempt < kAttempts * count; ++attempt)
    if (add(networks, make())) ++found;
}

Evolution::Widths Evolution::mutated(const Widths& parent, Random& random) const {
  Widths child = parent;
  for (size_t i = 0; i < child.size(); ++i) {
    const auto& widths = space_.genes()[i].widths;
    if (random.chance(options_.mutation)) child[i] = widths[random.below(widths.size())];
  }
  return child;
}

Evolution::Widths Evolution::crossed(const Widths& one, const Widths& other, Random& random) const {
  Widths child = one;
  for (size_t i = 0; i < child.size(); ++i)
    if (random.chance(options_.crossover)) child[i] = other[i];
  return child;
}

std::vector<RatedNetwork> Evolution::propose() {
  std::vector<RatedNetwork> networks;
  if (generation_ > options_.iterations) return networks;
  Random random(mix_seed(seed_, kEvolution, static_cast<uint64_t>(generation_)));
  if (generation_ == 0) {
    fill(networks, static_cast<size_t>(options_.population), [&] { return space_.draw(random); });
    if (networks.empty()) none_fits();
    return networks;
  }
  const size_t parents = std::min(best_.size(), static_cast<size_t>(options_.parents));
  const auto parent = [&]() -> const Widths& { return best_[random.below(parents)].widths; };
  fill(networks, static_cast<size_t>(options_.mutations), [&] { return mutated(parent(), random); });
  fill(networks, static_cast<size_t>(options_.crossovers), [&] {
    const Widths& one = parent();
    return crossed(one, parent(), random);
  });
  return networks;
}

void Evolution::rated(const std::vector<RatedNetwork>& networks) {
  best_.insert(best_.end(), networks.begin(), networks.end());
  std::stable_sort(best_.begin(), best_.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
  ++generation_;
}

void Evolution::none_fits() const {
  Widths narrowest;
  for (const Gene& gene : space_.genes()) narrowest.push_back(gene.widths.back());
  throw Error("no sub-network takes between " +
                  std::to_string(std::llround(options_.window * static_cast<double>(options_.macs))) + " and " +
                  std::to_string(options_.macs) + " multiply-adds",
              "search.macs",
              "the narrowest takes about " + std::to_string(cost_(space_.network(narrowest))) + ", the widest " +
                  std::to_string(cost_(space_.widest())));
}

}  // namespace tessera

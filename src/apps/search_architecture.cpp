#include <cstdio>

#include "apps/table.h"
#include "apps/verbs.h"
#include "core/error.h"
#include "core/files.h"
#include "tasks/inputs.h"
#include "train/architecture_search.h"
#include "train/supernet_learner.h"
#include "train/trainer.h"

namespace tessera::apps {
namespace {

namespace fs = std::filesystem;

struct SearchArguments {
  std::string recipe, run;
  std::vector<std::string> settings;
  size_t top = 5;
  bool random = false, new_recipe = false, json = false;
};

std::string number(double value, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// What a search found, by how its networks were chosen.
using Searches = std::vector<std::pair<std::string, SearchResult>>;

void print(const Searches& searches, const SearchSpace& space, const SearchArguments& arguments) {
  Table table{.columns = {"search", "rated", "rank", "top-1 %", "M multiply-adds"}, .text_columns = 1, .rows = {}};
  for (const auto& [name, search] : searches)
    for (size_t i = 0; i < std::min(arguments.top, search.best.size()); ++i) {
      const RatedNetwork& network = search.best[i];
      const Json definition = write_definition(space.network(network.widths));
      const Json line = {{"search", name},        {"rated", search.best.size()}, {"rank", i + 1},
                         {"top1", network.score}, {"macs", network.macs},        {"network_def", definition}};
      if (arguments.json) std::printf("%s\n", json_line(line).c_str());
      table.rows.push_back({name, std::to_string(search.best.size()), std::to_string(i + 1),
                            number(100 * network.score, "%.2f"),
                            number(static_cast<double>(network.macs) / 1e6, "%.3f")});
    }
  if (!arguments.json) table.print(false);
}

int search(const SearchArguments& arguments) {
  Json json = read_json(arguments.recipe);
  for (const auto& setting : arguments.settings) set_value(json, setting);
  const fs::path run =
      arguments.run.empty() ? fs::path("runs") / fs::path(arguments.recipe).stem() : fs::path(arguments.run);
  const Recipe recipe = read_recipe(json, "");
  if (!recipe.search)
    throw Error("says nothing of a search", arguments.recipe,
                "give \"search\": {\"macs\": ...}; see recipes/resnas.json");
  Trainer trainer(recipe, {.folder = run, .new_recipe = arguments.new_recipe, .stop = {}});
  if (!trainer.run().finished) return 0;
  auto& model = dynamic_cast<ImageClassifier&>(trainer.learner().module());
  Searches searches = {{"evolution", search_architecture(model, recipe, *recipe.search, {run / "search.jsonl"})}};
  if (searches.back().second.finished && arguments.random) {
    SearchOptions random = *recipe.search;  // as many, all as the first ones
    random.population = static_cast<int64_t>(searches.back().second.best.size()), random.iterations = 0;
    Recipe other = recipe;
    ++other.seed;
    searches.emplace_back("random", search_architecture(model, other, random, {run / "random.jsonl"}));
  }
  if (!searches.back().second.finished) {
    std::fprintf(stderr, "\nstopped; the same command goes on from there\n");
    return 0;
  }
  const SearchSpace& space = supernet_of(model).space();
  const fs::path winner = run / "winner";
  const ResnasDefinition best = space.network(searches.front().second.best.front().widths);
  save_sub_network(model, best, recipe, winner);
  print(searches, space, arguments);
  if (!arguments.json) std::printf("%s: %s\n", winner.c_str(), write_definition(best).dump().c_str());
  finish_output();
  return 0;
}

const VerbRegistration registration(
    "search-architecture",
    "Train a super-network, search its sub-networks within a budget, write the best as a model folder",
    [](CLI::App& command) -> std::function<int()> {
      auto arguments = std::make_shared<SearchArguments>();
      command.add_option("recipe", arguments->recipe, "The recipe, a JSON file with \"search\"")->required();
      command.add_option("--run", arguments->run,
                         "Folder for state, log and winner/ (default: runs/NAME of the recipe)");
      command.add_option("--set", arguments->settings, "Change a value of the recipe: search.macs=1000000")
          ->type_name("KEY=VALUE")
          ->allow_extra_args(false);
      command.add_option("--top", arguments->top, "How many networks to print")->capture_default_str();
      command.add_flag("--compare-random", arguments->random, "Rate as many networks at random, to compare with");
      command.add_flag("--new-recipe", arguments->new_recipe, "Resume even though the recipe is another one");
      command.add_flag("--json", arguments->json, "One JSON object a network");
      command.footer(
          "Both training and search go on where they were stopped, with the same command.\n"
          "Example: tessera search-architecture recipes/resnas.json --set search.macs=800000");
      return [arguments] { return search(*arguments); };
    });

}  // namespace
}  // namespace tessera::apps

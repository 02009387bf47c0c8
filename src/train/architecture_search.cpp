#include "train/architecture_search.h"

#include <cstdio>

#include "core/error.h"
#include "core/files.h"
#include "core/json_log.h"
#include "core/progress.h"
#include "core/stop.h"
#include "models/model.h"
#include "tasks/evaluate_classes.h"
#include "train/ema.h"
#include "train/learner.h"
#include "train/supernet_learner.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// The networks that were rated so far, in order, and then those that are.
class SearchLog {
 public:
  explicit SearchLog(const fs::path& path) : path_(path), file_(path) {
    for (const Json& line : file_.lines()) known_.push_back(read_options<RatedNetwork>(line, path_.string()));
  }

  /// Whether the log knows this network, which it then scores.
  bool knows(RatedNetwork& network) {
    if (next_ == known_.size()) return false;
    if (known_[next_].widths != network.widths)
      throw Error("is the log of another search", path_.string(), "take the options that it began with, or remove it");
    network.score = known_[next_++].score;
    return true;
  }
  void write(const RatedNetwork& network) { file_.write(write_options(network)); }

 private:
  fs::path path_;
  std::vector<RatedNetwork> known_;
  size_t next_ = 0;
  JsonLog file_;
};

std::string shown(const RatedNetwork& best) {
  char text[64];
  std::snprintf(text, sizeof text, "best %.2f %%, %.3f M multiply-adds", 100 * best.score,
                static_cast<double>(best.macs) / 1e6);
  return text;
}

}  // namespace

SearchResult search_architecture(ImageClassifier& supernet, const Recipe& recipe, const SearchOptions& options,
                                 const SearchRun& run) {
  const StopSignals signals;
  const auto& encoder = supernet_of(supernet);
  supernet.eval();
  const ClassTest test(recipe.evaluation.shards, recipe.classify, supernet.labels, recipe.evaluation.limit,
                       *training_processor(recipe.data));
  const auto cost = [&](const ResnasDefinition& network) {
    ResnasDefinition whole = network;
    whole.classes = static_cast<int64_t>(supernet.labels.size());
    return cost_of(whole, recipe.data.size, encoder.options().channels, encoder.options().distillation).macs;
  };
  SearchLog log(run.log);
  Evolution evolution(encoder.space(), options, cost, recipe.seed);
  Progress progress("searching", evolution.expected(), "networks");
  int64_t rated = 0;
  for (auto networks = evolution.propose(); !networks.empty(); networks = evolution.propose()) {
    for (RatedNetwork& network : networks) {
      ++rated;
      if (log.knows(network)) continue;
      const auto model = extract(supernet, encoder.space().network(network.widths));
      network.score = test.run(*model).top1;
      log.write(network);
      progress.set(rated, evolution.best().empty() ? "" : shown(evolution.best().front()));
      if (StopSignals::came() != 0 || (run.stop && run.stop(rated))) return {false, evolution.best()};
    }
    evolution.rated(networks);
  }
  progress.finish();
  return {true, evolution.best()};
}

void save_sub_network(ImageClassifier& supernet, const ResnasDefinition& network, const Recipe& recipe,
                      const fs::path& folder) {
  const auto& options = supernet_of(supernet).options();
  ResnasDefinition whole = network;
  whole.classes = static_cast<int64_t>(supernet.labels.size());
  Json config = {{"img_size", recipe.data.size},           {"in_chans", options.channels},
                 {"num_classes", whole.classes},           {"distill_token", options.distillation},
                 {"network_def", write_definition(whole)}, {"id2label", Json::object()}};
  for (size_t i = 0; i < supernet.labels.size(); ++i) config["id2label"][std::to_string(i)] = supernet.labels[i];
  if (!options.residual_reduction) config["residual_reduction"] = false;
  Model model = make_model(config, "sub-network");
  copy_weights(weights_of(*extract(supernet, network)), *model.module);
  model.processor = training_processor(recipe.data);
  save_model(model, folder);
  Recipe alone = recipe;
  alone.search.reset();
  ResnasOptions encoder = options;
  encoder.network_def = write_definition(whole);
  alone.model["encoder"] = write_options(encoder);
  alone.model["encoder"]["kind"] = "vit-resnas";
  write_file(folder / "recipe.json", write_options(alone).dump(2) + "\n");
}

}  // namespace tessera

#include "train/recipe.h"

#include "core/error.h"

namespace tessera {
namespace {

void check_positive(int64_t value, const std::string& where) {
  if (value < 1) throw Error("must be positive", where);
}

void check_data(const DataOptions& data, const std::string& where) {
  if (data.sources.empty())
    throw Error("names no data", where + ".sources", "give [{\"shards\": [\"data/icons/train-*.tar\"]}]");
  for (const auto& source : data.sources) {
    if (source.shards.empty()) throw Error("a source names no shards", where + ".sources");
    if (source.weight < 0) throw Error("a weight is negative", where + ".sources");
  }
  check_positive(data.size, where + ".size");
  if (data.balance < 0 || data.balance > 1) throw Error("must lie in [0, 1]", where + ".balance");
  if (data.mean.size() != 3) throw Error("three channels are needed", where + ".mean");
  if (data.std.size() != 3) throw Error("three channels are needed", where + ".std");
}

void check_questions(const QuestionOptions& questions, const std::string& where) {
  check_positive(questions.per_picture, where + ".per_picture");
  const std::pair<const char*, double> parts[] = {{"several", questions.several},
                                                  {"colour", questions.colour},
                                                  {"detail_dropout", questions.detail_dropout},
                                                  {"names", questions.names}};
  for (const auto& [name, value] : parts)
    if (!(value >= 0 && value <= 1)) throw Error("must lie in [0, 1]", where + "." + name);
  if (questions.several + questions.colour > 1)
    throw Error("and .several are parts of the same pictures, and more than all", where + ".colour");
  double sum = 0;
  for (const auto& [kind, weight] : questions.kinds) {
    check_choice(kind, {"name", "group", "is-it", "which"}, where + ".kinds");
    if (weight < 0) throw Error("a weight is negative", where + ".kinds." + kind);
    sum += weight;
  }
  if (sum <= 0) throw Error("no kind of question is left", where + ".kinds");
}

void check_classify(const Recipe& recipe, const std::string& prefix) {
  if (recipe.classify.empty()) return;
  check_choice(recipe.classify, {"group", "name"}, prefix + "classify");
  if (!recipe.base.empty() || recipe.names.steps > 0 || recipe.replicas > 1)
    throw Error("a classifier is trained from the beginning, in one piece", prefix + "classify",
                "leave out base, names and replicas");
}

void check_search(const Recipe& recipe, const std::string& prefix) {
  if (!recipe.search) return;
  check_search(*recipe.search, prefix + "search");
  if (recipe.classify.empty()) throw Error("needs classes to rate networks by", prefix + "classify");
  if (recipe.evaluation.shards.empty())
    throw Error("needs pictures to rate networks by", prefix + "evaluation.shards",
                "give some that are not trained on");
  if (recipe.ema > 0)
    throw Error("a super-network sorts its channels, which averages would mix up", prefix + "ema", "leave it out");
}

/// True when some key of the JSON says "dropout" or "drop_path" and its value is not 0.
bool drops(const Json& json) {
  if (!json.is_structured()) return false;
  for (const auto& [key, value] : json.items()) {
    const bool rate = key == "dropout" || key == "drop_path";
    if (rate && value.is_number() && value.get<double>() > 0) return true;
    if (drops(value)) return true;
  }
  return false;
}

std::string difference(const Json& a, const Json& b, const std::string& at) {
  if (a == b) return "";
  if (!a.is_object() || !b.is_object()) return at;
  const std::string prefix = at.empty() ? "" : at + ".";
  for (const auto& [key, value] : a.items()) {
    const std::string inner = difference(value, b.value(key, Json()), prefix + key);
    if (!inner.empty()) return inner;
  }
  for (const auto& [key, value] : b.items())
    if (!a.contains(key)) return prefix + key;
  return at;
}

}  // namespace

Recipe read_recipe(const Json& json, const std::string& where) {
  Recipe recipe = read_options<Recipe>(json, where);
  const std::string prefix = where.empty() ? "" : where + ".";
  if (recipe.tune) {
    check_tune(*recipe.tune, prefix + "tune");
    if (recipe.base.empty()) throw Error("names no model", prefix + "base", "give the folder of a language model");
    if (!json.contains("ema")) recipe.ema = 0;  // adapters are small, and shipped as they are
  } else if (recipe.in_context) {
    check_in_context(*recipe.in_context, prefix + "in_context");
    if (!recipe.base.empty()) throw Error("what learns from nothing has no base", prefix + "base", "leave it out");
  } else if (recipe.sounds) {
    check_sounds(*recipe.sounds, prefix + "sounds");
  } else {
    check_data(recipe.data, prefix + "data");
  }
  check_augment(recipe.augment, prefix + "augment");
  check_augment(starting_augment(recipe), prefix + "augment_start");
  if (recipe.augment_ramp < 0 || recipe.augment_ramp > 1) throw Error("must lie in [0, 1]", prefix + "augment_ramp");
  check_objective(recipe.objective, prefix + "objective");
  check_optimizer(recipe.optimizer, prefix + "optimizer");
  check_schedule(recipe.schedule, prefix + "schedule");
  check_questions(recipe.questions, prefix + "questions");
  if (!recipe.base.empty() && (recipe.names.steps > 0 || recipe.replicas > 1 || !recipe.tokenizer.path.empty()))
    throw Error("what has a base takes its tokenizer from it, and has no names or replicas of its own", prefix + "base",
                "leave out tokenizer, names and replicas");
  check_classify(recipe, prefix);
  if (recipe.search && !json.contains("ema")) recipe.ema = 0;
  check_search(recipe, prefix);
  check_choice(recipe.precision, {"float32", "bfloat16"}, prefix + "precision");
  check_positive(recipe.batch, prefix + "batch");
  check_positive(recipe.accumulate, prefix + "accumulate");
  check_positive(recipe.checkpoint_every, prefix + "checkpoint_every");
  check_positive(recipe.workers, prefix + "workers");
  if (recipe.names.steps < 0) throw Error("must not be negative", prefix + "names.steps");
  check_positive(recipe.names.candidates, prefix + "names.candidates");
  if (recipe.names.steps > 0 && recipe.objective.image_proxies <= 0)
    throw Error("needs the vectors that pictures are trained with", prefix + "names.steps",
                "set objective.image_proxies above 0");
  if (recipe.steps < 0 || recipe.epochs < 0) throw Error("must not be negative", prefix + "steps");
  if ((recipe.steps == 0) == (recipe.epochs == 0)) throw Error("give either steps or epochs", prefix + "steps");
  if (recipe.ema < 0 || recipe.ema >= 1) throw Error("must lie in [0, 1)", prefix + "ema");
  if (recipe.replicas < 0 || recipe.replicas > recipe.batch) throw Error("must lie in [0, batch]", prefix + "replicas");
  if (recipe.replicas > 1 && drops(recipe.model))
    throw Error("replicas draw dropout in no fixed order, so that a run could not be repeated", prefix + "replicas",
                "set dropout and drop_path to 0, or replicas to 1");
  if (recipe.evaluation.every > 0 && !recipe.evaluation.shards.empty() && recipe.evaluation.languages.empty())
    throw Error("names no language", prefix + "evaluation.languages");
  return recipe;
}

AugmentOptions starting_augment(const Recipe& recipe) {
  Json options = write_options(recipe.augment);
  if (!recipe.augment_start.is_object()) throw Error("expected an object", "augment_start");
  options.update(recipe.augment_start);
  return read_options<AugmentOptions>(options, "augment_start");
}

void set_value(Json& recipe, const std::string& setting) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error("is no setting", setting, "write KEY=VALUE, for instance optimizer.learning_rate=1e-4");
  const std::string text = setting.substr(equals + 1);
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) value = text;
  Json* at = &recipe;
  for (size_t begin = 0; begin <= equals;) {
    const size_t end = std::min(setting.find('.', begin), equals);
    const std::string key = setting.substr(begin, end - begin);
    if (key.empty() || !(at->is_object() || at->is_null())) throw Error("is no setting of the recipe", setting);
    at = &(*at)[key];
    begin = end + 1;
  }
  *at = value;
}

std::string difference(const Recipe& a, const Recipe& b) {
  Json first = write_options(a), second = write_options(b);
  for (Json* json : {&first, &second}) {
    for (const char* key : {"evaluation", "workers", "checkpoint_every"}) json->erase(key);
    if (json->at("tune").is_object()) json->at("tune").erase("validation");
    if (json->at("search").is_object()) json->at("search") = Json::object();  // it begins when training has ended
  }
  return difference(first, second, "");
}

}  // namespace tessera

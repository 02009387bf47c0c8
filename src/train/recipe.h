#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "core/options.h"
#include "train/augment.h"
#include "train/captions.h"
#include "train/evolution.h"
#include "train/in_context_options.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/sound_options.h"
#include "train/tune_options.h"

namespace tessera {

/// Some shards and how often their pictures are drawn.
struct SourceOptions {
  std::vector<std::string> shards;  ///< see Pictures::read()
  double weight = 0;  ///< share of each batch, relative to the other sources'; 0: as many as it has pictures
};
TESSERA_OPTIONS(SourceOptions, shards, weight)

struct DataOptions {
  std::vector<SourceOptions> sources;
  double balance = 0;  ///< 0: every picture is drawn equally often; 1: every concept; see Pictures::balanced()
  int64_t size = 64;   ///< pixels of a side that the model sees
  std::vector<double> mean = {0.5, 0.5, 0.5};  ///< subtracted from pixels in [0, 1],
  std::vector<double> std = {0.5, 0.5, 0.5};   ///< which are then divided by this
};
TESSERA_OPTIONS(DataOptions, sources, balance, size, mean, std)

/// Where the tokenizer comes from: a path, or a SentencePiece model trained on the captions of the run.
struct TokenizerRecipe {
  std::string path;               ///< a tokenizer file or folder; empty: train one
  int64_t vocabulary = 8000;      ///< pieces, when trained
  std::string model = "unigram";  ///< unigram or bpe
  bool byte_fallback = true;      ///< so that no text is unknown
  std::string corpus;             ///< a file with a caption a line; empty: the captions of the pictures
};
TESSERA_OPTIONS(TokenizerRecipe, path, vocabulary, model, byte_fallback, corpus)

/// Classification while training, of pictures that are never trained on: among the names of all symbols (zero-shot), or
/// among the classes of a classifier, which has no use for `names`, `languages` and `seen_only`.
struct EvaluationOptions {
  int64_t every = 1000;  ///< steps; 0: never
  std::vector<std::string> shards;
  std::string names;  ///< names.jsonl: the candidates; empty: the names of the pictures' own concepts
  std::vector<std::string> languages = {"en"};  ///< the first one's top-1 chooses the best checkpoint
  int64_t limit = 0;                            ///< evaluate on this many pictures, evenly spread; 0: all
  bool seen_only = true;                        ///< symbols of the training set alone
};
TESSERA_OPTIONS(EvaluationOptions, every, shards, names, languages, limit, seen_only)

/// What follows the steps with pictures: the text tower alone goes on, until names lie where their pictures do. It
/// costs a fraction of a step with pictures, and small text towers need far more steps than the pictures do.
struct NameOptions {
  int64_t steps = 0;               ///< optimizer steps; 0: none
  int64_t candidates = 256;        ///< names per step and language
  int64_t languages_per_step = 2;  ///< different languages in one step
  double learning_rate = 1e-3;     ///< the highest; the schedule begins anew, the optimizer's `rates` apply
};
TESSERA_OPTIONS(NameOptions, steps, candidates, languages_per_step, learning_rate)

/// What a talker is asked while it is trained.
struct QuestionOptions {
  int64_t per_picture = 3;  ///< questions about each picture of a batch
  double several = 0.1;     ///< part of the pictures that show one to four copies and are asked how many
  double colour = 0.15;  ///< part of the pictures that are asked for their colour, every other in colours not its own
  double detail_dropout = 0;  ///< part of the questions about names and groups that are answered from the picture's
                              ///< vector alone, without its colours and cells
  double names = 0;           ///< part of these in which the vector is that of a name, and not of the picture
  std::map<std::string, double> kinds = {
      {"name", 5}, {"group", 1}, {"is-it", 2}, {"which", 1}};  ///< how often each of the others is drawn
};
TESSERA_OPTIONS(QuestionOptions, per_picture, several, colour, detail_dropout, names, kinds)

/// All that decides a run. The same recipe, data and number of threads give the same weights.
struct Recipe {
  std::string base;  ///< folder of a trained dual encoder that learns to talk and stays as it is, or with `tune` of a
                     ///< language model; empty: a dual encoder is trained, and `questions` does nothing
  std::optional<TuneOptions> tune;  ///< an adapter of a published model is learned from conversations; `model`,
                                    ///< `tokenizer` and what is said of pictures do nothing, `batch` counts rows
  std::string classify;  ///< an encoder with a linear classifier learns what pictures show: their "group" or their
                         ///< (English) "name"; empty: something else is learned
  std::optional<SearchOptions> search;  ///< the classifier is a super-network, of which the best part is searched
  /// A language model learns languages that it infers from a text; `model` is its options.
  std::optional<InContextOptions> in_context;
  /// A model that reads spectrograms is pre-trained, or learns classes; `model` is its config.json, and `base` a folder
  /// that its encoder begins from.
  std::optional<SoundOptions> sounds;
  Json model;  ///< a dual encoder, the bridge and the language model of a talker, or the encoder and the pool of a
               ///< classifier; text.vocabulary is filled in from the tokenizer where it is absent
  TokenizerRecipe tokenizer;
  DataOptions data;
  CaptionOptions captions;
  AugmentOptions augment;
  Json augment_start = Json::object();  ///< what of augment has another value in the first step,
  double augment_ramp = 0;              ///< and reaches its own, linearly, after this part of the steps (0 to 1)
  ObjectiveOptions objective;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  NameOptions names;
  QuestionOptions questions;
  EvaluationOptions evaluation;
  int64_t steps = 0;                   ///< optimizer steps; 0: from epochs
  double epochs = 0;                   ///< passes over as many pictures as the data has
  int64_t batch = 128;                 ///< pictures of a micro-batch, which contrast with each other
  int64_t accumulate = 1;              ///< micro-batches per optimizer step
  std::string precision = "bfloat16";  ///< of matrix products: float32 or bfloat16; weights and sums are float32
  double ema = 0.999;                  ///< decay of the averaged weights, which are evaluated and shipped; 0: none
  int64_t seed = 0;
  int64_t threads = 0;             ///< 0: all cores
  int64_t replicas = 0;            ///< parts of a batch that run side by side, one thread each; 0: one
  int64_t workers = 1;             ///< threads that prepare batches ahead
  int64_t checkpoint_every = 500;  ///< steps
};
TESSERA_OPTIONS(Recipe, base, tune, classify, search, in_context, sounds, model, tokenizer, data, captions, augment,
                augment_start, augment_ramp, objective, optimizer, schedule, names, questions, evaluation, steps,
                epochs, batch, accumulate, precision, ema, seed, threads, replicas, workers, checkpoint_every)

/// Reads and checks a recipe. @throws Error naming the key
Recipe read_recipe(const Json& json, const std::string& where);

/// Changes one value of a recipe: "optimizer.learning_rate=1e-4". What follows "=" is JSON, or else a string.
/// @throws Error when the setting is not of this form
void set_value(Json& recipe, const std::string& setting);

/// How pictures are varied in the first step. @throws Error for unknown keys
AugmentOptions starting_augment(const Recipe& recipe);

/// The key at which two recipes differ ("optimizer.learning_rate"), leaving out what changes no weight: threads to
/// prepare batches, how often to evaluate and to save. Empty: they do not differ.
std::string difference(const Recipe& a, const Recipe& b);

}  // namespace tessera

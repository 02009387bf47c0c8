#include "tasks/evaluate_icons.h"

#include <algorithm>
#include <fstream>
#include <optional>

#include "core/files.h"
#include "core/parallel.h"
#include "core/progress.h"
#include "data/webdataset.h"
#include "metrics/baselines.h"
#include "metrics/retrieval.h"
#include "metrics/zero_shot.h"
#include "tasks/embed.h"

namespace tessera {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBlock = 64;
constexpr const char* kRemedy = "write it with `tessera data icons`";
using Captions = std::map<std::string, std::string>;

/// Different texts, each once, by the order in which they came.
class TextIndex {
 public:
  int64_t add(const std::string& text) {
    const auto [at, fresh] = places_.try_emplace(text, static_cast<int64_t>(texts_.size()));
    if (fresh) texts_.push_back(text);
    return at->second;
  }
  int64_t at(const std::string& text) const {
    const auto found = places_.find(text);
    return found == places_.end() ? -1 : found->second;
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::map<std::string, int64_t> places_;
  std::vector<std::string> texts_;
};

/// Pictures of one kind, as the methods see them.
struct TestSet {
  std::string style;
  bool seen = true;
  std::vector<Captions> captions;
  std::vector<int64_t> truth;              // the English name's place among the candidates
  std::vector<Tensor> pixels, hog, model;  // per picture, D
};

/// The English name of a line of names.jsonl; none for a skin tone.
std::optional<std::string> candidate_of(const std::string& line, const std::string& where) {
  const Json symbol = parse_json(line, where);
  try {
    if (symbol.value("skin_tone", false)) return {};
    return symbol.at("names").at("en").get<std::string>();
  } catch (const Json::exception&) {
    throw Error("is no symbol with an English name", where, kRemedy);
  }
}

TextIndex read_candidates(const fs::path& file) {
  std::ifstream in(file);
  if (!in) throw Error("cannot be opened", file.string(), kRemedy);
  TextIndex names;
  int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string where = file.string() + ":" + std::to_string(++number);
    if (line.empty()) continue;
    if (const auto name = candidate_of(line, where)) names.add(*name);
  }
  return names;
}

std::vector<fs::path> shards_of(const fs::path& folder, bool training) {
  if (!fs::is_directory(folder)) throw Error("is no folder", folder.string(), kRemedy);
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    // The named icons (train-icons) are no symbols: the baselines would have no class for them.
    const bool fits = training ? name.starts_with("train-emoji-") : !name.starts_with("train-");
    if (name.ends_with(".tar") && fits) found.push_back(entry.path());
  }
  if (found.empty()) throw Error("holds no shards", folder.string(), kRemedy);
  std::sort(found.begin(), found.end());
  return found;
}

/// Reads every picture once for all methods; the model is asked where there is one.
class Reader {
 public:
  Reader(const TextIndex& candidates, const ImageEmbedder* model) : candidates_(candidates), model_(model) {}

  /// Calls `take` with each sample that is no skin tone and has a candidate's name, and its features.
  template <class Take>
  void read(const std::vector<fs::path>& shards, const std::string& what, const Take& take) const {
    const WebDataset data(shards);
    Progress progress(what, static_cast<int64_t>(data.size()), "pictures");
    for (size_t begin = 0; begin < data.size(); begin += kBlock) {
      const size_t count = std::min(kBlock, data.size() - begin);
      std::vector<Sample> samples(count);
      std::vector<Tensor> pixels(count), hog(count), inputs(count);
      in_parallel(static_cast<int64_t>(count), [&](int64_t at) {
        const auto i = static_cast<size_t>(at);
        samples[i] = data.get(begin + i);
        const Image image = picture_of(samples[i]);
        pixels[i] = pixel_features(image);
        hog[i] = hog_features(image);
        if (model_) inputs[i] = prepared(samples[i]);
      });
      const Tensor features = model_ ? model_->embed(torch::stack(inputs)) : Tensor();
      for (size_t i = 0; i < count; ++i) {
        const int64_t truth = candidates_.at(samples[i].captions["en"]);
        if (truth >= 0 && !samples[i].metadata.value("skin_tone", false))
          take(samples[i], truth, pixels[i], hog[i], model_ ? features[static_cast<int64_t>(i)] : Tensor());
      }
      progress.step(static_cast<int64_t>(count));
    }
    progress.finish();
  }

 private:
  Tensor prepared(const Sample& sample) const {
    const Bytes bytes(reinterpret_cast<const uint8_t*>(sample.bytes.data()), sample.bytes.size());
    return prepare_picture(model_->processor(), bytes, sample.key);
  }

  const TextIndex& candidates_;
  const ImageEmbedder* model_;
};

std::vector<TestSet> read_test_sets(const Reader& reader, const fs::path& folder) {
  std::map<std::pair<std::string, bool>, TestSet> sets;
  reader.read(shards_of(folder, false), "test pictures",
              [&](Sample& sample, int64_t truth, const Tensor& pixels, const Tensor& hog, const Tensor& model) {
                const bool own_style = sample.metadata.value("split", "") == "unseen-symbols";
                const std::string style = own_style ? "training styles" : sample.metadata.value("style", "");
                const bool seen = sample.metadata.value("seen", true);
                TestSet& set = sets[{style, !seen}];  // seen first
                set.style = style, set.seen = seen;
                set.truth.push_back(truth);
                set.captions.push_back(std::move(sample.captions));
                set.pixels.push_back(pixels), set.hog.push_back(hog), set.model.push_back(model);
              });
  std::vector<TestSet> list;
  for (auto& [key, set] : sets) list.push_back(std::move(set));
  if (list.empty()) throw Error("no test picture bears a name of names.jsonl", folder.string(), kRemedy);
  return list;
}

/// Features of the training pictures, for the nearest neighbours.
struct Neighbours {
  std::vector<Tensor> pixels, hog;
  std::vector<int64_t> classes;
};

Neighbours read_neighbours(const Reader& reader, const fs::path& folder) {
  Neighbours known;
  reader.read(shards_of(folder, true), "training pictures",
              [&](Sample&, int64_t truth, const Tensor& pixels, const Tensor& hog, const Tensor&) {
                known.pixels.push_back(pixels), known.hog.push_back(hog);
                known.classes.push_back(truth);
              });
  if (known.classes.empty()) throw Error("no training picture bears a name of names.jsonl", folder.string(), kRemedy);
  return known;
}

IconRow row_for(const char* method, const TestSet& set, int64_t candidates) {
  IconRow row;
  row.method = method, row.style = set.style, row.seen = set.seen;
  row.pictures = static_cast<int64_t>(set.truth.size()), row.candidates = candidates;
  return row;
}

IconRow chance(const TestSet& set, int64_t candidates, const std::vector<std::string>& languages) {
  IconRow row = row_for("chance", set, candidates);
  row.top1 = 1.0 / static_cast<double>(candidates), row.top5 = std::min(1.0, 5 * row.top1);
  for (const auto& language : languages)
    row.recall10[language] = std::min(1.0, 10.0 / static_cast<double>(set.truth.size()));
  return row;
}

IconRow nearest_neighbour(const char* method, const TestSet& set, int64_t candidates, const std::vector<Tensor>& train,
                          const std::vector<int64_t>& classes, const std::vector<Tensor>& test) {
  IconRow row = row_for(method, set, candidates);
  const auto ranks = nearest_neighbour_ranks(torch::stack(train), classes, torch::stack(test), set.truth);
  row.top1 = top_k(ranks, 1), row.top5 = top_k(ranks, 5);
  return row;
}

/// The names of the set's own pictures ask, and its pictures with a name in this language answer.
double recall_in(const std::string& language, const TestSet& set, const Tensor& images, const TextEmbedder& embedder) {
  TextIndex queries;
  std::vector<int64_t> rows, truth;
  for (size_t i = 0; i < set.captions.size(); ++i) {
    const auto name = set.captions[i].find(language);
    if (name == set.captions[i].end()) continue;
    rows.push_back(static_cast<int64_t>(i));
    truth.push_back(queries.add(name->second));
  }
  if (rows.empty()) return 0;
  const Tensor texts = embedder.embed(queries.texts(), {.batch = kBlock, .truncate = true});
  const Tensor relevant = torch::arange(texts.size(0)).unsqueeze(1).eq(torch::tensor(truth).unsqueeze(0));
  return retrieval(images.index_select(0, torch::tensor(rows)), texts, relevant).text_to_image_10;
}

IconRow model_row(const TestSet& set, const Tensor& names, const std::vector<std::string>& languages,
                  const TextEmbedder& embedder) {
  IconRow row = row_for("model", set, names.size(0));
  const Tensor images = torch::stack(set.model);
  const ZeroShotResult found = zero_shot(images, names, torch::tensor(set.truth));
  row.top1 = found.top1, row.top5 = found.top5;
  for (const auto& language : languages) row.recall10[language] = recall_in(language, set, images, embedder);
  return row;
}

}  // namespace

std::vector<std::string> trained_languages(const Model& model) {
  std::vector<std::string> languages = {"en"};
  const fs::path file = model.folder / "recipe.json";
  if (!fs::exists(file)) return languages;
  const Json recipe = read_json(file);
  // Named, because the loop would not keep a temporary alive.
  const Json captions = recipe.value("captions", Json::object());
  const Json weights = captions.value("languages", Json::object());
  for (const auto& [language, weight] : weights.items())
    if (language != "en") languages.push_back(language);
  return languages;
}

std::vector<IconRow> evaluate_icons(const Model& model, const IconEvaluationOptions& options) {
  std::vector<std::string> languages = options.languages.empty() ? trained_languages(model) : options.languages;
  if (std::find(languages.begin(), languages.end(), "en") == languages.end()) languages.insert(languages.begin(), "en");
  const ImageEmbedder image_embedder(model);
  const TextEmbedder text_embedder(model);
  const TextIndex candidates = read_candidates(options.data / "names.jsonl");
  const auto count = static_cast<int64_t>(candidates.texts().size());
  const auto sets = read_test_sets(Reader(candidates, &image_embedder), options.data);
  const Neighbours known = read_neighbours(Reader(candidates, nullptr), options.data);
  const Tensor names = text_embedder.embed(candidates.texts(), {.batch = kBlock, .truncate = true});

  std::vector<IconRow> rows;
  Progress progress("test sets", static_cast<int64_t>(sets.size()));
  for (const TestSet& set : sets) {
    rows.push_back(chance(set, count, languages));
    rows.push_back(nearest_neighbour("pixels", set, count, known.pixels, known.classes, set.pixels));
    rows.push_back(nearest_neighbour("hog", set, count, known.hog, known.classes, set.hog));
    rows.push_back(model_row(set, names, languages, text_embedder));
    progress.step();
  }
  progress.finish();
  return rows;
}

double mean_of_other_languages(const IconRow& row) {
  double sum = 0;
  int64_t count = 0;
  for (const auto& [language, recall] : row.recall10)
    if (language != "en") sum += recall, ++count;
  return count == 0 ? -1 : sum / static_cast<double>(count);
}

}  // namespace tessera

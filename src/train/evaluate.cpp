#include "train/evaluate.h"

#include <algorithm>

#include "core/compat.h"
#include "core/error.h"
#include "core/pad_texts.h"
#include "metrics/retrieval.h"
#include "train/augment.h"

namespace tessera {
namespace {

constexpr int64_t kBlock = 128;

Tensor channels(const std::vector<double>& values) { return torch::tensor(values, torch::kFloat32).view({1, 3, 1, 1}); }

}  // namespace

Evaluator::Evaluator(const Recipe& recipe, const Tokenize& tokenize, int64_t padding_id)
    : options_(recipe.evaluation),
      padding_id_(padding_id),
      context_(recipe.captions.context),
      mean_(recipe.data.mean),
      std_(recipe.data.std) {
  pictures_.read(options_.shards);
  if (!options_.names.empty()) pictures_.read_names(options_.names);
  const std::vector<size_t> chosen = pictures_.to_test(options_.limit, options_.seen_only);
  if (chosen.empty()) throw Error("no picture is left to evaluate on", "evaluation.shards");
  const int64_t size = recipe.data.size;
  const auto count = static_cast<int64_t>(chosen.size());
  Tensor planes = torch::empty({count, 3, size, size});
  for (int64_t i = 0; i < count; ++i) {
    const Picture& picture = pictures_.pictures[chosen[static_cast<size_t>(i)]];
    plain_view(picture.pixels, recipe.augment.background_colour, size, planes.data_ptr<float>() + i * 3 * size * size);
    concepts_.push_back(picture.concept_index);
  }
  pixels_ = (planes * 255).round().to(torch::kUInt8);
  pictures_.pictures.clear();
  for (const auto& language : options_.languages) names_[language] = names_in(language, tokenize);
}

Evaluator::Names Evaluator::names_in(const std::string& language, const Tokenize& tokenize) const {
  Names names;
  std::map<std::string, int64_t> by_name;  // symbols with the same name are one candidate
  std::vector<int64_t> name_of(pictures_.concepts.size(), -1);
  for (size_t i = 0; i < pictures_.concepts.size(); ++i) {
    const auto name = pictures_.concepts[i].names.find(language);
    if (name == pictures_.concepts[i].names.end()) continue;
    const auto [at, fresh] = by_name.try_emplace(name->second, static_cast<int64_t>(names.tokens.size()));
    if (fresh) {
      names.tokens.push_back(tokenize(name->second));
      if (static_cast<int64_t>(names.tokens.back().size()) > context_) {
        names.tokens.back()[static_cast<size_t>(context_) - 1] = names.tokens.back().back();
        names.tokens.back().resize(static_cast<size_t>(context_));
      }
    }
    name_of[i] = at->second;
  }
  std::vector<int64_t> truth, rows;
  for (size_t i = 0; i < concepts_.size(); ++i) {
    const int64_t name = name_of[static_cast<size_t>(concepts_[i])];
    if (name >= 0) truth.push_back(name), rows.push_back(static_cast<int64_t>(i));
  }
  if (rows.empty()) throw Error("no picture has a name in this language", "evaluation.languages: " + language);
  names.truth = torch::tensor(truth, torch::kInt64);
  names.rows = torch::tensor(rows, torch::kInt64);
  return names;
}

std::map<std::string, LanguageScore> Evaluator::run(DualEncoder& model, torch::ScalarType dtype) const {
  const torch::NoGradGuard no_gradient;
  model.eval();
  std::vector<Tensor> blocks;
  for (int64_t i = 0; i < pixels_.size(0); i += kBlock) {
    const Tensor block = pixels_.slice(0, i, std::min(i + kBlock, pixels_.size(0))).to(torch::kFloat32) / 255;
    blocks.push_back(encode_all(model, (block - channels(mean_)) / channels(std_), dtype));
  }
  const Tensor images = torch::cat(blocks);
  std::map<std::string, LanguageScore> scores;
  for (const auto& [language, names] : names_) {
    const Tensor texts = encode_all(model, names.tokens, padding_id_, dtype);
    const Tensor some = images.index_select(0, names.rows);
    const ZeroShotResult found = zero_shot(some, texts, names.truth);
    const Tensor columns = torch::arange(texts.size(0)).unsqueeze(1);
    const Tensor relevant = columns.eq(names.truth.unsqueeze(0));  // names x pictures
    scores[language] = {found.top1, found.top5, retrieval(some, texts, relevant).text_to_image_10, found.pictures,
                        found.texts};
  }
  return scores;
}

Tensor encode_all(DualEncoder& model, const Tensor& pixels, torch::ScalarType dtype) {
  const torch::NoGradGuard no_gradient;
  const Autocast autocast(dtype);
  std::vector<Tensor> blocks;
  for (int64_t i = 0; i < pixels.size(0); i += kBlock)
    blocks.push_back(model.encode_image(pixels.slice(0, i, std::min(i + kBlock, pixels.size(0)))).to(torch::kFloat32));
  return torch::cat(blocks);
}

Tensor encode_all(DualEncoder& model, const std::vector<std::vector<int64_t>>& texts, int64_t padding_id,
                  torch::ScalarType dtype) {
  const torch::NoGradGuard no_gradient;
  const Autocast autocast(dtype);
  std::vector<Tensor> blocks;
  for (size_t i = 0; i < texts.size(); i += kBlock) {
    std::vector<std::span<const int64_t>> rows;
    for (size_t k = i; k < std::min(i + kBlock, texts.size()); ++k) rows.push_back(texts[k]);
    blocks.push_back(model.encode_text(pad_texts(rows, {.id = padding_id})).to(torch::kFloat32));
  }
  return torch::cat(blocks);
}

}  // namespace tessera

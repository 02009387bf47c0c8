#include "vlm/talker.h"

#include "io/published_config.h"
#include "layers/family.h"

namespace tessera {
namespace {

VisionLanguageParts parts_of(const TalkerOptions& options, const std::shared_ptr<DualEncoder>& dual) {
  return {std::make_shared<DualEncoderTower>(dual, options.cells, options.patch),
          bridges().make(options.bridge, "bridge"), language_models().make(options.language, "language")};
}

VisionLanguageOptions joining(const TalkerOptions& options) {
  const Json& vocabulary = options.language.at("vocabulary");
  return {.join = "replace", .placeholder_id = vocabulary.get<int64_t>()};
}

/// The mean features of each cell of a coarser grid: N x L x D -> N x cells x D.
Tensor averaged(const Tokens& tokens, const Grid& cells) {
  const Tensor body = tokens.body();
  const Tensor map = body.transpose(1, 2).reshape({body.size(0), body.size(2), tokens.grid[0], tokens.grid[1]});
  return torch::adaptive_avg_pool2d(map, {cells[0], cells[1]}).flatten(2).transpose(1, 2);
}

/// Thumbnails of the cells of a grid: N x 3 x H x W -> N x cells x 3 patch^2.
Tensor thumbnails(const Tensor& pixels, const Grid& grid, int64_t patch) {
  const Tensor small = torch::adaptive_avg_pool2d(pixels, {grid[0] * patch, grid[1] * patch});
  return torch::pixel_unshuffle(small, patch).flatten(2).transpose(1, 2);
}

}  // namespace

DualEncoderTower::DualEncoderTower(std::shared_ptr<DualEncoder> dual, Grid cells, int64_t patch)
    : dual_(register_module("dual", std::move(dual))), cells_(std::move(cells)), patch_(patch) {
  if (cells_.size() != 2 || cells_[0] < 1 || cells_[1] < 1) throw Error("must be rows and columns", "cells");
  if (patch_ < 1) throw Error("must be positive", "patch");
}

Tokens DualEncoderTower::cells(const Tokens& seen, const Tensor& pixels) const {
  if (seen.grid.size() != 2)
    throw Error("makes no grid of tokens", "dual_encoder.image", "take an encoder that keeps the picture's plane");
  const Tensor features = averaged(seen, cells_);
  Tokens cells;
  cells.grid = cells_;
  cells.x = torch::cat({features, thumbnails(pixels, cells_, patch_).to(features.scalar_type())}, 2);
  return cells;
}

Talker::Talker(const TalkerOptions& options, const std::shared_ptr<DualEncoder>& dual)
    : VisionLanguage(parts_of(options, dual), joining(options)), length_(1 + options.cells[0] * options.cells[1]) {
  naming_ = register_module("naming", std::make_shared<Linear>(dual->options().dim, width()));
}

std::vector<int64_t> Talker::picture_lengths(const ImageBatch& pictures) const {
  return std::vector<int64_t>(static_cast<size_t>(picture_count(pictures)), length_);
}

Tensor Talker::picture_tokens(const Tensor& pixels) {
  const Tokens seen = dual().image().forward(pixels);
  const Tensor shown = naming_->forward(unit(dual().encode_image(seen).to(torch::kFloat32))).unsqueeze(1);
  const Tensor bridged = bridge().forward(tower().cells(seen, pixels)).x;
  return torch::cat({shown.to(bridged.scalar_type()), bridged}, 1);
}

std::vector<Tensor> Talker::picture_tokens(const MultimodalBatch& batch) {
  const Tensor& pixels = batch.pictures.pixel_values;
  if (!pixels.defined() || pixels.size(0) == 0) return {};
  return picture_tokens(pixels).unbind(0);
}

void Talker::freeze_dual() {
  frozen_ = true;
  for (auto& parameter : dual().parameters()) parameter.requires_grad_(false);
  dual().eval();
}

void Talker::train(bool on) {
  VisionLanguage::train(on);
  if (frozen_) dual().eval();
}

std::shared_ptr<Talker> make_talker(const Json& json, const std::string& where) {
  const auto options = read_options<TalkerOptions>(json, where);
  if (!options.language.contains("vocabulary")) throw Error("is missing", where + ": language.vocabulary");
  return std::make_shared<Talker>(options, make_dual_encoder(options.dual_encoder, where + ": dual_encoder"));
}

DualEncoder* dual_encoder_in(Module& module) {
  if (auto* talker = dynamic_cast<Talker*>(&module)) return &talker->dual();
  return dynamic_cast<DualEncoder*>(&module);
}

std::vector<int64_t> TalkerFormat::prompt(const std::vector<int64_t>& question, bool picture) const {
  std::vector<int64_t> ids(picture ? static_cast<size_t>(picture_length) : 0, placeholder);
  ids.insert(ids.end(), question.begin(), question.end());
  ids.push_back(begin);
  return ids;
}

namespace {

const FamilyRegistration own({"talker", "a dual encoder, a bridge and a decoder (Tessera)",
                              [](const Json& config) { return is_model_type(config, {"tessera-talker"}); },
                              [](const Json& json, const std::string& where) -> Assembly {
                                PublishedConfig config(json, where);
                                const Json options = config.nested("talker").json();
                                config.done();
                                return {make_talker(options, where + ": talker"), NameTable{{"*", "*"}}};
                              }});

}  // namespace
}  // namespace tessera

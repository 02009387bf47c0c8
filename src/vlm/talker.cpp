#include "vlm/talker.h"

#include "core/pad_texts.h"
#include "io/published_config.h"
#include "layers/family.h"

namespace tessera {
namespace {

constexpr double kLikeness = 4;  // brings cosines, which are small, to the size of other inputs

VisionLanguageParts parts_of(const TalkerOptions& options, const std::shared_ptr<DualEncoder>& dual) {
  return {std::make_shared<DualEncoderTower>(dual, options.cells, options.patch),
          bridges().make(options.bridge, "bridge"), language_models().make(options.language, "language")};
}

VisionLanguageOptions joining(const TalkerOptions& options) {
  const Json& vocabulary = options.language.at("vocabulary");
  return {.join = "replace", .placeholder_id = vocabulary.get<int64_t>()};
}

/// Thumbnails of the cells of a grid: N x 3 x H x W -> N x cells x 3 patch^2.
Tensor thumbnails(const Tensor& pixels, const Grid& grid, int64_t patch) {
  const Tensor small = torch::adaptive_avg_pool2d(pixels, {grid[0] * patch, grid[1] * patch});
  return torch::pixel_unshuffle(small, patch).flatten(2).transpose(1, 2);
}

/// How much of a picture has which colour, roots of the shares: N x 3 x H x W in [-1, 1] -> N x shades^3. A pixel
/// between two shades is shared among them.
Tensor colour_histogram(const Tensor& pixels, int64_t shades) {
  const Tensor shade = ((pixels.flatten(2) + 1) * (0.5 * static_cast<double>(shades - 1))).clamp(0, shades - 1);
  const Tensor near = (1 - (shade.unsqueeze(3) - torch::arange(shades, shade.options())).abs()).clamp_min(0);
  const auto channels = near.unbind(1);  // N x pixels x shades each
  const Tensor pairs = torch::einsum("npi,npj->nijp", {channels[0], channels[1]}).flatten(1, 2);
  return (pairs.matmul(channels[2]).flatten(1) / static_cast<double>(near.size(2))).sqrt();
}

/// The names in the questions of a batch.
struct Names {
  std::vector<std::vector<int64_t>> ids;           ///< of each name
  std::vector<int64_t> rows;                       ///< of the batch, in which the names stand
  std::vector<int64_t> token_rows, token_columns;  ///< where each of their tokens stands
  std::vector<int64_t> token_names;                ///< and of which name it is
};

Names names_in(const TextBatch& text, int64_t placeholder, int64_t begin, const std::set<int64_t>& asking) {
  Names names;
  const Tensor ids = text.ids.cpu().contiguous();
  const Tensor mask = text.mask.defined() ? text.mask.cpu() : torch::ones_like(ids, torch::kBool);
  const auto id_at = ids.accessor<int64_t, 2>();
  const auto real = mask.accessor<bool, 2>();
  for (int64_t row = 0; row < ids.size(0); ++row) {
    bool within = false;
    for (int64_t column = 0; column < ids.size(1) && id_at[row][column] != begin; ++column) {
      const int64_t id = id_at[row][column];
      if (!real[row][column] || id == placeholder || asking.contains(id)) {
        within = false;
        continue;
      }
      if (!within) names.ids.emplace_back(), names.rows.push_back(row);
      within = true;
      names.ids.back().push_back(id);
      names.token_rows.push_back(row);
      names.token_columns.push_back(column);
      names.token_names.push_back(static_cast<int64_t>(names.ids.size()) - 1);
    }
  }
  return names;
}

/// Unit vectors with random ones of random lengths added (Nukrai et al., 2022). A tower knows the pictures that it was
/// trained with better than others, and what reads its vectors must not count on that.
Tensor disturbed(const Tensor& vectors, double longest) {
  const Tensor length = torch::rand({vectors.size(0), 1}, vectors.options()) * longest;
  return unit(vectors + unit(torch::randn_like(vectors)) * length);
}

/// The greatest cosine of each name with the pictures of its row; 0 where there is none.
/// @param counts  pictures of each row
Tensor likeness(const Tensor& names, const Tensor& rows, const std::vector<Tensor>& pictures, const Tensor& counts) {
  if (pictures.empty()) return torch::zeros({names.size(0)}, names.options());
  const Tensor row_of = torch::repeat_interleave(counts);
  const Tensor together = rows.unsqueeze(1).eq(row_of.unsqueeze(0));  // names x pictures
  const Tensor cosine = names.matmul(unit(torch::stack(pictures).to(torch::kFloat32)).t());
  return cosine.masked_fill(~together, -1).amax(1) * together.any(1);
}

}  // namespace

DualEncoderTower::DualEncoderTower(std::shared_ptr<DualEncoder> dual, Grid cells, int64_t patch)
    : dual_(register_module("dual", std::move(dual))), cells_(std::move(cells)), patch_(patch) {
  if (cells_.size() != 2 || cells_[0] < 1 || cells_[1] < 1) throw Error("must be rows and columns", "cells");
  if (patch_ < 1) throw Error("must be positive", "patch");
}

Tokens DualEncoderTower::forward(const Tensor& pixels) {
  Tokens cells;
  cells.grid = cells_;
  cells.x = thumbnails(pixels, cells_, patch_);
  return cells;
}

Talker::Talker(const TalkerOptions& options, const std::shared_ptr<DualEncoder>& dual)
    : VisionLanguage(parts_of(options, dual), joining(options)),
      length_(2 + options.cells[0] * options.cells[1]),
      begin_id_(options.begin_id),
      shades_(options.shades),
      noise_(options.noise),
      asking_(options.asking.begin(), options.asking.end()),
      languages_(options.languages) {
  if (shades_ < 2) throw Error("must be at least 2", "shades");
  if (dual->options().dim > width()) throw Error("is narrower than the dual encoder's space", "language.dim");
  naming_ = register_module("naming", std::make_shared<Linear>(dual->options().dim, width()));
  likeness_ = register_module("likeness", std::make_shared<Linear>(1, width(), false));
  colours_ = register_module("colours", std::make_shared<Mlp>(shades_ * shades_ * shades_, width(), "gelu", width()));
  if (options.memory < 0) throw Error("must not be negative", "memory");
  if (options.memory > 0)
    memory_ = register_buffer("memory", torch::zeros({options.memory, dual->options().dim}, torch::kInt8));
}

std::vector<int64_t> Talker::picture_lengths(const ImageBatch& pictures) const {
  return std::vector<int64_t>(static_cast<size_t>(picture_count(pictures)), length_);
}

Tensor Talker::picture_tokens(const Tensor& pixels) {
  const Tensor bridged = bridge().forward(tower().forward(pixels)).x;
  const Tensor tokens = vector_tokens(dual().encode_image(pixels)).to(bridged.scalar_type());
  const Tensor colours = colours_->forward(colour_histogram(pixels, shades_)).unsqueeze(1).to(bridged.scalar_type());
  return torch::cat({tokens.narrow(1, 0, 1), colours, bridged, tokens.narrow(1, length_, 1)}, 1);
}

Tensor Talker::vector_tokens(const Tensor& vectors) {
  Tensor vector = unit(vectors.to(torch::kFloat32));
  if (is_training() && noise_ > 0) vector = disturbed(vector, noise_);
  const Tensor shown = naming_->forward(memory_.defined() ? recalled(vector) : vector).unsqueeze(1);
  const Tensor filled = torch::constant_pad_nd(vector, {0, width() - vector.size(1)}).unsqueeze(1);
  const Tensor nothing = torch::zeros({vector.size(0), length_ - 1, width()}, shown.options());
  return torch::cat({shown, nothing, filled.to(shown.scalar_type())}, 1);
}

void Talker::remember(const Tensor& vectors) {
  const torch::NoGradGuard no_gradient;
  const Tensor largest = vectors.abs().amax(1, true).clamp_min(1e-12);
  memory_.copy_((vectors / largest * 127).round());
}

/// The mean of the names' unit vectors, weighted by how likely the dual encoder finds each of them.
Tensor Talker::recalled(const Tensor& vectors) {
  const Tensor names = unit(memory_.to(torch::kFloat32));
  const Tensor scale = dual().logit_scale.detach().exp();
  return unit(vectors.matmul(names.t()).mul(scale).softmax(1).matmul(names));
}

Tokens Talker::join(const std::vector<Tensor>& pictures, const TextBatch& text) {
  std::vector<Tensor> tokens, vectors;
  for (const Tensor& picture : pictures) {
    tokens.push_back(picture.narrow(0, 0, length_));
    vectors.push_back(picture[length_].narrow(0, 0, dual().options().dim));
  }
  Tokens joined = VisionLanguage::join(tokens, text);
  const Names names = names_in(text, options().placeholder_id, begin_id_, asking_);
  if (names.ids.empty()) return joined;
  const auto index = [&](const std::vector<int64_t>& values) {
    return torch::tensor(values, torch::kInt64).to(text.ids.device());
  };
  const Tensor counts = text.ids.eq(options().placeholder_id).sum(1).div(length_, "floor");
  const Tensor named =
      unit(dual().encode_text(pad_texts(names.ids, {.longest = dual().text().context()})).to(torch::kFloat32));
  const Tensor near = likeness(named, index(names.rows), vectors, counts).unsqueeze(1);
  const Tensor read = naming_->forward(named) + likeness_->forward(near * kLikeness);
  joined.x = joined.x.index_put({index(names.token_rows), index(names.token_columns)},
                                read.index_select(0, index(names.token_names)).to(joined.x.scalar_type()), true);
  return joined;
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

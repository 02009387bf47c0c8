#include "encoders/pyramid_tnt.h"

#include <numeric>

#include "core/error.h"
#include "encoders/published.h"
#include "encoders/pyramid.h"
#include "layers/grid.h"
#include "layers/positions.h"
#include "layers/window_attention.h"

namespace tessera {
namespace {

const Registration<Encoder, PyramidTnt, PyramidTntOptions> registration(encoders(), "pyramid-tnt");

constexpr int64_t kSide = 4, kWords = kSide * kSide;  // words of a sentence, along a side and in all
constexpr int64_t kPixels = 8;                        // of the picture for a sentence, along a side

int64_t halved(int64_t extent) { return (extent + 1) / 2; }

/// A 3 x 3 convolution that halves a map.
std::shared_ptr<Convolution> halving(int64_t in, int64_t out) {
  return std::make_shared<Convolution>(ConvolutionOptions{.in = in,
                                                          .out = out,
                                                          .kernel_height = 3,
                                                          .kernel_width = 3,
                                                          .stride_height = 2,
                                                          .stride_width = 2,
                                                          .padding = 1});
}

}  // namespace

PyramidTntStage::PyramidTntStage(const PyramidTntOptions& o, size_t stage, const Grid& trained,
                                 const std::vector<double>& rates) {
  const int64_t dim = o.dims[stage], heads = o.heads[stage], ratio = o.ratios[stage], depth = o.depths[stage];
  bias_ = add<GridBias>("bias", heads, trained, PooledAttention::pooled(trained, ratio));
  blocks_ = add<ModuleList<TntBlock>>("blocks");
  const PooledAttentionOptions outer{
      .dim = dim, .heads = heads, .ratio = ratio, .qkv_bias = o.qkv_bias, .scale = o.scale, .eps = o.eps};
  for (int64_t i = 0; i < depth; ++i) {
    const bool words = i == 0 || (i == 1 && depth > 6);
    blocks_->append(TntBlockOptions{.dim = dim,
                                    .heads = heads,
                                    .inner_dim = o.inner_dims[stage],
                                    .inner_heads = o.inner_heads[stage],
                                    .words = words ? kWords : 0,
                                    .ffn_ratio = o.ffn_ratio,
                                    .inner_ffn_ratio = o.ffn_ratio,
                                    .qkv_bias = o.qkv_bias,
                                    .scale = o.scale,
                                    .word_norm = false,
                                    .excitation = o.excitation,
                                    .eps = o.eps,
                                    .drop_path = rates[static_cast<size_t>(i)]},
                    std::make_shared<PooledAttention>(outer, bias_));
  }
}

void PyramidTntStage::forward(WordsAndSentences& x) {
  for (const auto& block : *blocks_) x.sentences = block->forward(x.words, x.sentences);
  tap(*this, x.words, "words");
  tap(*this, x.sentences.x, "sentences");
}

PyramidTntMerge::PyramidTntMerge(const PyramidTntOptions& o, size_t stage) {
  word_norm_ = add<Norm>("word_norm", o.inner_dims[stage], o.eps);
  word_ = register_module("word", halving(o.inner_dims[stage], o.inner_dims[stage + 1]));
  sentence_norm_ = add<Norm>("sentence_norm", o.dims[stage], o.eps);
  sentence_ = register_module("sentence", halving(o.dims[stage], o.dims[stage + 1]));
}

void PyramidTntMerge::forward(WordsAndSentences& x) {
  const int64_t rows = x.sentences.grid[0], columns = x.sentences.grid[1];
  // All words of a picture as one map, in which four sentences are a square of 2 x 2 times their words.
  Tensor map = from_windows(word_norm_->forward(x.words), kSide, rows * kSide, columns * kSide).permute({0, 3, 1, 2});
  map = torch::constant_pad_nd(map, {0, columns % 2 * kSide, 0, rows % 2 * kSide});
  const Tensor joined = in_windows(map, 2 * kSide).transpose(1, 2).unflatten(2, {2 * kSide, 2 * kSide});
  x.words = tap(*this, word_->forward(joined).flatten(2).transpose(1, 2), "words");
  x.sentences = as_tokens(sentence_->forward(as_map(x.sentences.with(sentence_norm_->forward(x.sentences.x)))));
  tap(*this, x.sentences.x, "sentences");
}

PyramidTnt::PyramidTnt(const PyramidTntOptions& options) : options_(options) {
  const auto& o = options_;
  check_stages("pyramid-tnt", o.depths.size(),
               {o.dims.size(), o.heads.size(), o.inner_dims.size(), o.inner_heads.size(), o.ratios.size()});
  if (o.image.size() != 2 || o.image[0] < kPixels || o.image[1] < kPixels)
    throw Error("image is [height, width], and 8 pixels or more", "pyramid-tnt");
  trained_ = {o.image[0] / kPixels, o.image[1] / kPixels};
  const int64_t inner = o.inner_dims[0], dim = o.dims[0];
  const auto convolution = [](int64_t in, int64_t out, int64_t stride) {
    return std::make_shared<ConvolutionNorm>(in, out, 3, stride, /*rectify=*/true, /*first_weight=*/1, /*bias=*/true);
  };
  stem_ = register_module("stem", convolution(o.channels, 2 * inner, 2));
  inner_ = register_module("inner", convolution(2 * inner, inner, 1));
  outer_ = add<ModuleList<ConvolutionNorm>>("outer");
  outer_->append(convolution(2 * inner, 4 * inner, 2));
  outer_->append(convolution(4 * inner, 8 * inner, 2));
  outer_->append(convolution(8 * inner, dim, 1));
  inner_positions_ = weight("inner_positions", {1, kWords, inner});
  positions_ = weight("positions", {1, trained_[0] * trained_[1], dim});
  stages_ = add<ModuleList<PyramidTntStage>>("stages");
  merges_ = add<ModuleList<PyramidTntMerge>>("merges");
  const int64_t all = std::accumulate(o.depths.begin(), o.depths.end(), int64_t{0});
  Grid grid = trained_;
  int64_t index = 0;
  for (size_t s = 0; s < o.depths.size(); ++s) {
    std::vector<double> rates;
    for (int64_t i = 0; i < o.depths[s]; ++i) rates.push_back(rising(o.drop_path, index++, all));
    stages_->append(o, s, grid, rates);
    if (s + 1 < o.depths.size()) merges_->append(o, s);
    grid = {halved(grid[0]), halved(grid[1])};
  }
  norm_ = add<Norm>("norm", o.dims.back(), o.eps);
}

Encoder::Layout PyramidTnt::layout(int64_t height, int64_t width) const {
  Grid grid = {(height + kPixels - 1) / kPixels, (width + kPixels - 1) / kPixels};
  for (size_t i = 1; i < options_.depths.size(); ++i) grid = {halved(grid[0]), halved(grid[1])};
  return {.grid = grid};
}

WordsAndSentences PyramidTnt::embed(const Tensor& pixels) {
  // Whole sentences: their two branches then have grids that fit.
  const int64_t below = (kPixels - pixels.size(2) % kPixels) % kPixels,
                right = (kPixels - pixels.size(3) % kPixels) % kPixels;
  const Tensor map = stem_->forward(torch::constant_pad_nd(pixels, {0, right, 0, below}));
  Tensor sentences = map;
  for (const auto& convolution : *outer_) sentences = convolution->forward(sentences);
  WordsAndSentences x{in_windows(inner_->forward(map), kSide), as_tokens(sentences)};
  tap(*this, x.words, "words");
  tap(*this, x.sentences.x, "sentences");
  x.words = x.words + inner_positions_;
  x.sentences.x = x.sentences.x + resample_positions(positions_, 0, trained_, x.sentences.grid);
  return x;
}

Tokens PyramidTnt::forward(const Tensor& pixels) {
  if (pixels.dim() != 4 || pixels.size(1) != options_.channels)
    throw Error("pixels are B x " + std::to_string(options_.channels) + " x H x W", "pyramid-tnt");
  if (pixels.size(2) < 1 || pixels.size(3) < 1) throw Error("the picture is empty", "pyramid-tnt");
  WordsAndSentences x = embed(pixels);
  for (size_t s = 0; s < stages_->size(); ++s) {
    if (s > 0) (*merges_)[s - 1].forward(x);
    (*stages_)[s].forward(x);
  }
  return x.sentences.with(norm_->forward(x.sentences.x));
}

namespace {

NameTable names() {
  const auto stem = [](const char* published, const char* path) {
    return NameTable{{"0.*", "convolution.*"}, {"1.*", "norm.*"}}.within(published, path);
  };
  const NameTable outer = {{"0.*", "0.convolution.*"}, {"1.*", "0.norm.*"},        {"3.*", "1.convolution.*"},
                           {"4.*", "1.norm.*"},        {"6.*", "2.convolution.*"}, {"7.*", "2.norm.*"}};
  const NameTable tower = {{
                               {"*num_batches_tracked", ""},
                               {"inner_pos", "inner_positions"},
                               {"outer_pos", "positions"},
                               {"stages.{s}.relative_pos", "stages.{s}.bias.weight"},
                               {"word_merges.{s}.norm.*", "merges.{s}.word_norm.*"},
                               {"word_merges.{s}.conv.0.*", "merges.{s}.word.*"},
                               {"sentence_merges.{s}.norm.*", "merges.{s}.sentence_norm.*"},
                               {"sentence_merges.{s}.conv.0.*", "merges.{s}.sentence.*"},
                               {"norm.*", "norm.*"},
                           },
                           {
                               {"patch_embed#0", "words"},
                               {"patch_embed#1", "sentences"},
                               {"stages.{s}#0", "stages.{s}.words"},
                               {"stages.{s}#1", "stages.{s}.sentences"},
                               {"word_merges.{s}", "merges.{s}.words"},
                               {"sentence_merges.{s}#0", "merges.{s}.sentences"},
                               {"norm", "norm"},
                           }};
  // Before those of the plain TNT, which stores its queries with its keys.
  const NameTable block = {{"inner_attn.{q|kv}.*", "inner.qkv.*[{0:1|1:2}]"}, {"outer_attn.*", "outer.attention.*"}};
  return tower + stem("patch_embed.common_conv.", "stem.") + stem("patch_embed.inner_convs.", "inner.") +
         outer.within("patch_embed.outer_convs.", "outer.") +
         (block + tnt_block_names()).within("stages.{s}.blocks.{b}.", "stages.{s}.blocks.{b}.");
}

Assembly assemble_pyramid(const Json& json, const std::string& where) {
  PublishedConfig config(json, where), sizes = config.nested("configs");
  PyramidTntOptions tnt;
  tnt.image = config.pair("img_size", 224);
  tnt.channels = config.get<int64_t>("in_chans", 3);
  tnt.depths = sizes.require<std::vector<int64_t>>("depths");
  tnt.dims = sizes.require<std::vector<int64_t>>("outer_dims");
  tnt.heads = sizes.require<std::vector<int64_t>>("outer_heads");
  tnt.inner_dims = sizes.require<std::vector<int64_t>>("inner_dims");
  tnt.inner_heads = sizes.require<std::vector<int64_t>>("inner_heads");
  sizes.done();
  tnt.ffn_ratio = config.get<double>("mlp_ratio", 4);
  tnt.qkv_bias = config.get<bool>("qkv_bias", false);
  tnt.scale = config.get<double>("qk_scale", 0);
  tnt.excitation = config.get<double>("se", 0) > 0;
  tnt.drop_path = config.get<double>("drop_path_rate", 0);
  const int64_t classes = config.get<int64_t>("num_classes", 1000);
  config.ignore({"drop_rate", "attn_drop_rate"});
  config.done();
  return {std::make_shared<ImageClassifier>(ImageClassifierOptions{
              .encoder = of_kind("pyramid-tnt", tnt), .pool = {{"kind", "mean"}}, .classes = classes}),
          NameTable{{"head.*", "head.*"}} + names().within("", "encoder.")};
}

const FamilyRegistration pyramid({"pyramid-tnt", "PyramidTNT (the authors' code)",
                                  [](const Json& config) {
                                    return config.contains("configs") && config["configs"].contains("outer_dims");
                                  },
                                  assemble_pyramid});

}  // namespace
}  // namespace tessera

#include "encoders/t2t_vit.h"

#include <cmath>

#include "core/error.h"
#include "encoders/published.h"
#include "layers/attention.h"
#include "layers/grid.h"
#include "layers/performer.h"
#include "layers/positions.h"

namespace tessera {
namespace {

const Registration<Encoder, T2tVit, T2tVitOptions> registration(encoders(), "t2t-vit");

struct Split {
  int64_t kernel, stride, padding;
  int64_t extent(int64_t before) const {
    const int64_t room = before + 2 * padding;
    return room < kernel ? 0 : (room - kernel) / stride + 1;
  }
};
constexpr Split kSplits[] = {{7, 4, 2}, {3, 2, 1}, {3, 2, 1}};

VitOptions backbone(const T2tVitOptions& o) {
  return {.image = o.image,
          .patch = {16, 16},
          .channels = o.channels,
          .dim = o.dim,
          .depth = o.depth,
          .heads = o.heads,
          .ffn = o.ffn,
          .eps = o.eps,
          .qkv_bias = o.qkv_bias,
          .scale = o.scale,
          .fixed_positions = true,
          .drop_path = o.drop_path,
          .dropout = o.dropout};
}

}  // namespace

Tensor soft_split(const Tensor& map, int64_t kernel, int64_t stride, int64_t padding) {
  return torch::im2col(map, {kernel, kernel}, {1, 1}, {padding, padding}, {stride, stride}).transpose(1, 2);
}

TokenTransformer::TokenTransformer(const T2tVitOptions& options, int64_t in) : options_(options) {
  const auto& o = options_;
  const int64_t dim = o.token_dim;
  norm1_ = add<Norm>("norm1", in, o.eps);
  qkv_ = add<Linear>("qkv", in, 3 * dim, o.performer || o.qkv_bias);
  proj_ = add<Linear>("proj", dim, dim);
  if (o.performer)
    directions_ = register_buffer("directions", orthogonal_directions(std::max<int64_t>(dim / 2, 1), dim));
  norm2_ = add<Norm>("norm2", dim, o.eps);
  ffn_ = add<Mlp>("ffn", dim, dim, "gelu");
}

Tensor TokenTransformer::mix(const Tensor& x) {
  const auto parts = qkv_->forward(x).chunk(3, -1);
  const Tensor& v = parts[2];
  if (options_.performer) {
    const Tensor k = positive_features(parts[0], directions_), q = positive_features(parts[1], directions_);
    return v +
           torch::dropout(proj_->forward(linear_attention(q, k, v, 1e-8)), options_.performer_dropout, is_training());
  }
  const double scale = 1 / std::sqrt(static_cast<double>(x.size(-1)));
  const auto head = [](const Tensor& part) { return part.unsqueeze(1); };  // B x 1 x L x D
  return v + proj_->forward(attend(*this, head(parts[0]), head(parts[1]), head(v), {.scale = scale}).squeeze(1));
}

Tensor TokenTransformer::forward(const Tensor& x) {
  const Tensor mixed = mix(norm1_->forward(x));
  const double dropout = options_.performer ? options_.performer_dropout : 0;
  return tap(*this, mixed + torch::dropout(ffn_->forward(norm2_->forward(mixed)), dropout, is_training()));
}

TokensToToken::TokensToToken(const T2tVitOptions& o) {
  attention1_ = add<TokenTransformer>("attention1", o, o.channels * kSplits[0].kernel * kSplits[0].kernel);
  attention2_ = add<TokenTransformer>("attention2", o, o.token_dim * kSplits[1].kernel * kSplits[1].kernel);
  project_ = add<Linear>("project", o.token_dim * kSplits[2].kernel * kSplits[2].kernel, o.dim);
}

int64_t TokensToToken::extent(int64_t before) const {
  for (const Split& split : kSplits) before = split.extent(before);
  return before;
}

Tensor TokensToToken::forward(const Tensor& pixels) {
  Tensor map = pixels;
  for (size_t i = 0; i < std::size(kSplits); ++i) {
    const Split& split = kSplits[i];
    Tokens tokens;
    tokens.grid = {split.extent(map.size(2)), split.extent(map.size(3))};
    tokens.x = soft_split(map, split.kernel, split.stride, split.padding);
    tokens.x = i == 0   ? attention1_->forward(tokens.x)
               : i == 1 ? attention2_->forward(tokens.x)
                        : project_->forward(tokens.x);
    map = as_map(tokens);
  }
  return map;
}

T2tVit::T2tVit(const T2tVitOptions& o) : Vit(backbone(o), {.patches = std::make_shared<TokensToToken>(o)}) {
  const torch::NoGradGuard no_grad;
  Tensor positions = named_parameters(/*recurse=*/false)["positions"];
  positions.copy_(sine_positions(positions.size(1), o.dim).unsqueeze(0));
}

namespace {

NameTable names() {
  const NameTable tower = {{
                               {"cls_token", "class_token"},
                               {"pos_embed", "positions"},
                               {"tokens_to_token.project.*", "patches.project.*"},
                               {"norm.*", "norm.*"},
                           },
                           {
                               {"tokens_to_token.attention{n}", "patches.attention{n}"},
                               {"tokens_to_token", "patches"},
                               {"blocks.{n}", "blocks.{n}"},
                               {"norm", "norm"},
                           }};
  const NameTable step = {
      {"norm{m}.*", "norm{m}.*"}, {"attn.qkv.*", "qkv.*"},     {"attn.proj.*", "proj.*"},
      {"mlp.fc1.*", "ffn.up.*"},  {"mlp.fc2.*", "ffn.down.*"},
  };
  return tower + step.within("tokens_to_token.attention{n}.", "patches.attention{n}.") +
         timm_block_names().within("blocks.{n}.", "blocks.{n}.");
}

/// The steps of a performer; those of a transformer have other names.
NameTable performer_names() {
  const NameTable step = {{"norm{m}.*", "norm{m}.*"}, {"kqv.*", "qkv.*"},      {"proj.*", "proj.*"},
                          {"w", "directions"},        {"mlp.0.*", "ffn.up.*"}, {"mlp.2.*", "ffn.down.*"}};
  return step.within("tokens_to_token.attention{n}.", "patches.attention{n}.");
}

Assembly assemble_t2t(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  T2tVitOptions t2t;
  t2t.image = config.pair("img_size", 224);
  t2t.channels = config.get<int64_t>("in_chans", 3);
  const std::string kind = config.require<std::string>("tokens_type");
  check_choice(kind, {"performer", "transformer"}, where + ": tokens_type");
  t2t.performer = kind == "performer";
  t2t.token_dim = config.get<int64_t>("token_dim", 64);
  t2t.dim = config.get<int64_t>("embed_dim", 768);
  t2t.depth = config.get<int64_t>("depth", 12);
  t2t.heads = config.get<int64_t>("num_heads", 12);
  t2t.ffn = static_cast<int64_t>(static_cast<double>(t2t.dim) * config.get<double>("mlp_ratio", 4));
  t2t.qkv_bias = config.get<bool>("qkv_bias", false);
  t2t.scale = config.get<double>("qk_scale", 0);
  t2t.drop_path = config.get<double>("drop_path_rate", 0);
  t2t.dropout = config.get<double>("drop_rate", 0);
  const int64_t classes = config.get<int64_t>("num_classes", 1000);
  config.ignore({"attn_drop_rate"});
  config.done();
  return {
      std::make_shared<ImageClassifier>(ImageClassifierOptions{.encoder = of_kind("t2t-vit", t2t), .classes = classes}),
      NameTable{{"head.*", "head.*"}} + (t2t.performer ? performer_names() + names() : names()).within("", "encoder.")};
}

const FamilyRegistration t2t({"t2t-vit", "Tokens-to-Token ViT (the authors' code)",
                              [](const Json& config) { return config.contains("tokens_type"); }, assemble_t2t});

}  // namespace
}  // namespace tessera

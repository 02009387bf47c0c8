#include "encoders/rmt.h"

#include <numeric>

#include "encoders/published.h"
#include "layers/convolutional_mlp.h"
#include "layers/elementwise.h"

namespace tessera {
namespace {

const Registration<Encoder, Rmt, RmtOptions> registration(encoders(), "rmt");

constexpr double kEps = 1e-6;

std::shared_ptr<Downsampler> convolutions(const RmtOptions& o, size_t stage) {
  const int64_t dim = o.dims[stage];
  using Steps = std::vector<ConvolutionStem::Step>;
  if (stage > 0) return std::make_shared<ConvolutionStem>(o.dims[stage - 1], Steps{{dim, 2}});
  return std::make_shared<ConvolutionStem>(o.channels, Steps{{dim / 2, 2}, {dim / 2, 1}, {dim, 2}, {dim, 1}});
}

}  // namespace

ConvolutionStem::ConvolutionStem(int64_t in, const std::vector<Step>& steps) : steps_(steps) {
  layers_ = add<ModuleList<ConvolutionNorm>>("layers");
  for (const Step& step : steps) {
    layers_->append(in, step.width, 3, step.stride, /*rectify=*/false, /*first_weight=*/1, /*bias=*/true);
    in = step.width;
  }
}

Tensor ConvolutionStem::forward(const Tensor& map) {
  Tensor x = map;
  for (size_t i = 0; i < layers_->size(); ++i) x = (*layers_)[i].forward(i == 0 ? x : elementwise::gelu(x));
  return tap(*this, x);
}

int64_t ConvolutionStem::extent(int64_t before) const {
  for (const Step& step : steps_) before = (before + step.stride - 1) / step.stride;
  return before;
}

RmtLayer::RmtLayer(const RmtOptions& o, size_t stage, double drop_path, std::shared_ptr<ManhattanDecay> decay) {
  const int64_t dim = o.dims[stage];
  BlockOptions block{
      .dim = dim, .eps = kEps, .layer_scale = o.layer_scales[stage] ? o.layer_scale : 0, .drop_path = drop_path};
  feeding_ = add<Block>("feeding", block,
                        std::make_shared<ConvolutionalMlp>(
                            dim, static_cast<int64_t>(static_cast<double>(dim) * o.ffn_ratios[stage]), "gelu"),
                        nullptr);
  block.position_kernel = 3;
  mixing_ = add<Block>("mixing", block,
                       std::make_shared<ManhattanAttention>(dim, o.heads[stage], o.decomposed[stage], std::move(decay)),
                       nullptr);
}

RmtStage::RmtStage(const RmtOptions& o, size_t stage, int64_t before) : PyramidStage(convolutions(o, stage)) {
  const int64_t heads = o.heads[stage], all = std::accumulate(o.depths.begin(), o.depths.end(), int64_t{0});
  if (heads < 1) throw Error("there are no heads", "rmt");
  decay_ = add<ManhattanDecay>("decay", heads, o.dims[stage] / heads, o.first_decays[stage], o.decay_ranges[stage]);
  layers_ = add<ModuleList<RmtLayer>>("layers");
  for (int64_t i = 0; i < o.depths[stage]; ++i) layers_->append(o, stage, rising(o.drop_path, before + i, all), decay_);
}

Tokens RmtStage::mix(Tokens tokens) {
  for (const auto& layer : *layers_) tokens = layer->forward(tokens);
  return tokens;
}

Rmt::Rmt(const RmtOptions& options) : Pyramid("rmt", options.channels), options_(options) {
  const auto& o = options_;
  check_stages("rmt", o.dims.size(),
               {o.depths.size(), o.heads.size(), o.first_decays.size(), o.decay_ranges.size(), o.ffn_ratios.size(),
                o.decomposed.size(), o.layer_scales.size()});
  int64_t before = 0;
  for (size_t s = 0; s < o.dims.size(); ++s) {
    add_stage(std::make_shared<RmtStage>(o, s, before), o.dims[s]);
    before += o.depths[s];
  }
  projection_ = add<Linear>("projection", o.dims.back(), o.projection);
  projection_norm_ = add<BatchNorm>("projection_norm", o.projection);
}

Tokens Rmt::finish(const Tokens& tokens) {
  const Tensor projected = projection_->forward(tokens.x).transpose(1, 2);  // B x D x L
  return tokens.with(elementwise::silu(projection_norm_->forward(projected)).transpose(1, 2));
}

namespace {

NameTable names(const RmtOptions& rmt) {
  NameTable tower = {{
                         {"*num_batches_tracked", ""},
                         {"layers.{s}.Relpos.*", "stages.{s}.decay.*"},
                         {"proj.*", "projection.*"},
                         {"norm.*", "projection_norm.*"},
                     },
                     {
                         {"patch_embed", "stages.0.entry"},
                         {"layers.{s}.blocks.{b}.retention", "stages.{s}.layers.{b}.mixing.attention"},
                         {"layers.{s}.blocks.{b}.ffn", "stages.{s}.layers.{b}.feeding.attention"},
                         {"layers.{s}.blocks.{b}", "stages.{s}.layers.{b}.feeding"},
                     }};
  for (int64_t i = 0; i < 4; ++i) {  // convolution, norm and activation are numbered through
    const std::string path = "stages.0.entry.layers." + std::to_string(i);
    tower = tower + NameTable{{".*", ".convolution.*"}}.within("patch_embed.proj." + std::to_string(3 * i), path) +
            NameTable{{".*", ".norm.*"}}.within("patch_embed.proj." + std::to_string(3 * i + 1), path);
  }
  const NameTable between = {{
                                 {".downsample.reduction.*", ".entry.layers.0.convolution.*"},
                                 {".downsample.norm.*", ".entry.layers.0.norm.*"},
                             },
                             {{"", ".entry"}}};
  // Nothing is joined to the last stage.
  const std::string end = "." + std::to_string(rmt.dims.size() - 1);
  const NameTable last = NameTable({}, {{"", end.c_str()}}).within("layers" + end, "stages");
  const NameTable layer = {
      {"pos.conv.*", "mixing.position1.*"},
      {"retention_layer_norm.*", "mixing.norm1.*"},
      {"retention.{q_proj|k_proj|v_proj}.*", "mixing.attention.qkv.*[{0|1|2}]"},
      {"retention.lepe.conv.*", "mixing.attention.local.*"},
      {"retention.out_proj.*", "mixing.attention.proj.*"},
      {"gamma_1", "mixing.scale1"},
      {"final_layer_norm.*", "feeding.norm1.*"},
      {"ffn.fc1.*", "feeding.attention.up.*"},
      {"ffn.dwconv.conv.*", "feeding.attention.convolution.*"},
      {"ffn.fc2.*", "feeding.attention.down.*"},
      {"gamma_2", "feeding.scale1"},
  };
  return tower + layer.within("layers.{s}.blocks.{b}.", "stages.{s}.layers.{b}.") +
         between_stages(rmt.dims.size(), between) + last;
}

Assembly assemble_rmt(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  RmtOptions rmt;
  rmt.channels = config.get<int64_t>("in_chans", 3);
  rmt.dims = config.get<std::vector<int64_t>>("embed_dims", {96, 192, 384, 768});
  rmt.depths = config.get<std::vector<int64_t>>("depths", {2, 2, 6, 2});
  rmt.heads = config.get<std::vector<int64_t>>("num_heads", {3, 6, 12, 24});
  rmt.first_decays = config.get<std::vector<double>>("init_values", {1, 1, 1, 1});
  rmt.decay_ranges = config.get<std::vector<double>>("heads_ranges", {3, 3, 3, 3});
  rmt.ffn_ratios = config.get<std::vector<double>>("mlp_ratios", {3, 3, 3, 3});
  rmt.decomposed = config.get<std::vector<bool>>("chunkwise_recurrents", {true, true, false, false});
  rmt.layer_scales = config.get<std::vector<bool>>("layerscales", {false, false, false, false});
  rmt.layer_scale = config.get<double>("layer_init_values", 1e-6);
  rmt.projection = config.get<int64_t>("projection", 1024);
  rmt.drop_path = config.get<double>("drop_path_rate", 0.1);
  const int64_t classes = config.get<int64_t>("num_classes", 1000);
  config.expect("patch_norm", true);
  config.ignore({"use_checkpoints"});
  config.done();
  return {std::make_shared<ImageClassifier>(
              ImageClassifierOptions{.encoder = of_kind("rmt", rmt), .pool = {{"kind", "mean"}}, .classes = classes}),
          NameTable{{"head.*", "head.*"}} + names(rmt).within("", "encoder.")};
}

const FamilyRegistration rmt({"rmt", "RMT (the authors' code)",
                              [](const Json& config) { return config.contains("chunkwise_recurrents"); },
                              assemble_rmt});

}  // namespace
}  // namespace tessera

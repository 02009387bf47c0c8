#include "encoders/hornet.h"

#include <numeric>

#include "encoders/published.h"
#include "layers/feed_forward.h"
#include "layers/gated_convolution.h"

namespace tessera {
namespace {

const Registration<Encoder, Hornet, HornetOptions> registration(encoders(), "hornet");

constexpr double kEps = 1e-6;

}  // namespace

Hornet::Hornet(const HornetOptions& o) : Pyramid("hornet", o.channels) {
  check_stages("hornet", o.depths.size(),
               {o.orders.size(), o.scales.size(), o.filter_heights.size(), o.filter_widths.size()});
  const int64_t all = std::accumulate(o.depths.begin(), o.depths.end(), int64_t{0});
  int64_t index = 0, dim = o.dim;
  for (size_t s = 0; s < o.depths.size(); ++s, dim *= 2) {
    const int64_t patch = s == 0 ? 4 : 2;
    auto stage = std::make_shared<PyramidStage>(
        std::make_shared<NormedConvolution>(NormedConvolutionOptions{.in = s == 0 ? o.channels : dim / 2,
                                                                     .out = dim,
                                                                     .kernel = patch,
                                                                     .stride = patch,
                                                                     .pre_norm = s > 0,
                                                                     .eps = kEps}));
    const GatedConvolutionOptions mixer{.dim = dim,
                                        .order = o.orders[s],
                                        .scale = o.scales[s],
                                        .filter_height = o.filter_heights[s],
                                        .filter_width = o.filter_widths[s]};
    for (int64_t i = 0; i < o.depths[s]; ++i, ++index)
      stage->blocks().append(
          BlockOptions{
              .dim = dim, .eps = kEps, .layer_scale = o.layer_scale, .drop_path = rising(o.drop_path, index, all)},
          std::make_shared<GatedConvolution>(mixer), std::make_shared<Mlp>(dim, 4 * dim, "gelu"));
    add_stage(stage, dim);
  }
}

namespace {

NameTable names() {
  const NameTable tower = {{
                               {"downsample_layers.0.0.*", "stages.0.entry.convolution.*"},
                               {"downsample_layers.0.1.*", "stages.0.entry.norm.*"},
                               {"downsample_layers.{s}.0.*", "stages.{s}.entry.norm.*"},
                               {"downsample_layers.{s}.1.*", "stages.{s}.entry.convolution.*"},
                           },
                           {
                               {"downsample_layers.{s}", "stages.{s}.entry"},
                               {"stages.{s}.{b}.gnconv.dwconv", "stages.{s}.blocks.{b}.attention.gates"},
                               {"stages.{s}.{b}.gnconv", "stages.{s}.blocks.{b}.attention"},
                               {"stages.{s}.{b}", "stages.{s}.blocks.{b}"},
                           }};
  const NameTable block = {
      {"norm{m}.*", "norm{m}.*"},
      {"gnconv.proj_in.*", "attention.proj_in.*"},
      {"gnconv.proj_out.*", "attention.proj_out.*"},
      {"gnconv.pws.{k}.*", "attention.widen.{k}.*"},
      {"gnconv.dwconv.dw.*", "attention.filter.local.*"},
      {"gnconv.dwconv.complex_weight", "attention.filter.weight"},
      {"gnconv.dwconv.pre_norm.*", "attention.filter.pre_norm.*"},
      {"gnconv.dwconv.post_norm.*", "attention.filter.post_norm.*"},
      {"gnconv.dwconv.*", "attention.convolution.*"},
      {"pwconv1.*", "ffn.up.*"},
      {"pwconv2.*", "ffn.down.*"},
      {"gamma{m}", "scale{m}"},
  };
  return tower + block.within("stages.{s}.{b}.", "stages.{s}.blocks.{b}.");
}

/// The stages' convolutions, which a config gives as a list of objects.
void read_convolutions(PublishedConfig& config, HornetOptions& hornet) {
  const Json list = config.require<Json>("gnconv");
  if (!list.is_array()) throw Error("expected a list with one object a stage", config.where() + ": gnconv");
  hornet.orders.clear(), hornet.scales.clear(), hornet.filter_heights.clear(), hornet.filter_widths.clear();
  for (const Json& item : list) {
    PublishedConfig one(item, config.where() + ": gnconv");
    hornet.orders.push_back(one.get<int64_t>("order", 5));
    hornet.scales.push_back(one.get<double>("s", 1));
    one.expect<std::string>("gflayer", "GlobalLocalFilter");
    const bool filter = one.has("gflayer");
    hornet.filter_heights.push_back(one.get<int64_t>("h", filter ? 14 : 0));
    hornet.filter_widths.push_back(one.get<int64_t>("w", filter ? 8 : 0));
    if (!filter) hornet.filter_heights.back() = 0;
    one.done();
  }
}

Assembly assemble_hornet(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  HornetOptions hornet;
  hornet.channels = config.get<int64_t>("in_chans", 3);
  hornet.dim = config.get<int64_t>("base_dim", 96);
  hornet.depths = config.get<std::vector<int64_t>>("depths", {3, 3, 9, 3});
  read_convolutions(config, hornet);
  hornet.layer_scale = config.get<double>("layer_scale_init_value", 1e-6);
  hornet.drop_path = config.get<double>("drop_path_rate", 0);
  const int64_t classes = config.get<int64_t>("num_classes", 1000);
  config.ignore({"head_init_scale"});
  config.done();
  return {std::make_shared<ImageClassifier>(ImageClassifierOptions{
              .encoder = of_kind("hornet", hornet),
              .pool = {{"kind", "mean"}, {"dim", hornet.dim << (hornet.depths.size() - 1)}, {"eps", kEps}},
              .classes = classes}),
          NameTable({{"norm.*", "pool.norm.*"}, {"head.*", "head.*"}}, {{"norm", "pool"}}) +
              names().within("", "encoder.")};
}

const FamilyRegistration hornet({"hornet", "HorNet (the authors' code)",
                                 [](const Json& config) { return config.contains("gnconv"); }, assemble_hornet});

}  // namespace
}  // namespace tessera

#include "encoders/vitamin.h"

#include <map>
#include <regex>

#include "core/error.h"
#include "encoders/published.h"
#include "layers/elementwise.h"
#include "layers/feed_forward.h"
#include "layers/grid.h"

namespace tessera {
namespace {

const Registration<Encoder, Vitamin, VitaminOptions> registration(encoders(), "vitamin");

constexpr double kEps = 1e-6;

std::shared_ptr<Convolution> convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups = 1) {
  return std::make_shared<Convolution>(ConvolutionOptions{.in = in,
                                                          .out = out,
                                                          .kernel_height = kernel,
                                                          .kernel_width = kernel,
                                                          .stride_height = stride,
                                                          .stride_width = stride,
                                                          .padding = kernel / 2,
                                                          .groups = groups});
}

/// The next multiple of 8, but not more than a tenth below the width.
int64_t divisible(int64_t width) {
  const int64_t nearest = std::max<int64_t>(8, (width + 4) / 8 * 8);
  return nearest * 10 < width * 9 ? nearest + 8 : nearest;
}

/// A gated feed-forward that norms what it is given, although its block has done so.
class NormedGatedMlp : public FeedForward {
 public:
  NormedGatedMlp(int64_t dim, int64_t hidden) {
    norm_ = add<Norm>("norm", dim, kEps);
    mlp_ = add<GatedMlp>("mlp", dim, hidden, "gelu", /*bias=*/true);
  }
  Tensor forward(const Tensor& x) override { return tap(*this, mlp_->forward(norm_->forward(x))); }

 private:
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<GatedMlp> mlp_;
};

VitOptions backbone(const VitaminOptions& o) {
  return {.image = o.image,
          .channels = o.channels,
          .dim = o.dim,
          .depth = o.depth,
          .heads = o.heads,
          .ffn = o.ffn,
          .class_token = false,
          .positions = o.positions,
          .antialias_positions = true,
          .final_norm = false,
          .drop_path = o.drop_path};
}

}  // namespace

MbConv::MbConv(int64_t in, int64_t out, int64_t stride) : stride_(stride) {
  const int64_t hidden = divisible(4 * out);
  norm_ = add<Norm>("norm", in, kEps);
  up_ = register_module("up", convolution(in, hidden, 1, 1));
  depthwise_ = register_module("depthwise", convolution(hidden, hidden, 3, stride, hidden));
  down_ = register_module("down", convolution(hidden, out, 1, 1));
  if (in != out) shortcut_ = register_module("shortcut", convolution(in, out, 1, 1));
}

Tensor MbConv::forward(const Tensor& map) {
  Tensor shortcut = stride_ == 1 ? map
                                 : torch::avg_pool2d(map, 3, stride_, 1, /*ceil_mode=*/false,
                                                     /*count_include_pad=*/false);
  if (shortcut_) shortcut = shortcut_->forward(shortcut);
  const Tensor wide = elementwise::gelu(up_->forward(norm_map(*norm_, map)));
  return tap(*this, down_->forward(elementwise::gelu(depthwise_->forward(wide))) + shortcut);
}

VitaminStem::VitaminStem(const VitaminOptions& o) {
  if (o.widths.empty() || o.widths.size() != o.depths.size())
    throw Error("widths and depths name the same stages", "vitamin");
  first_ = register_module("first", convolution(o.channels, o.stem, 3, 2));
  norm_ = add<Norm>("norm", o.stem, kEps);
  second_ = register_module("second", convolution(o.stem, o.stem, 3, 1));
  stages_ = add<ModuleList<ModuleList<MbConv>>>("stages");
  int64_t in = o.stem;
  for (size_t s = 0; s < o.widths.size(); ++s) {
    const auto stage = stages_->append();
    for (int64_t i = 0; i < o.depths[s]; ++i) stage->append(i == 0 ? in : o.widths[s], o.widths[s], i == 0 ? 2 : 1);
    in = o.widths[s];
  }
  pool_norm_ = add<Norm>("pool_norm", in, kEps);
  pool_ = register_module("pooling", convolution(in, o.dim, 3, 2));
}

int64_t VitaminStem::extent(int64_t before) const {
  for (size_t i = 0; i < stages_->size() + 2; ++i) before = (before + 1) / 2;
  return before;
}

Tensor VitaminStem::forward(const Tensor& pixels) {
  Tensor map = second_->forward(elementwise::gelu(norm_map(*norm_, first_->forward(pixels))));
  tap(*this, map, "stem");
  for (size_t s = 0; s < stages_->size(); ++s) {
    for (const auto& block : (*stages_)[s]) map = block->forward(map);
    tap(*this, map, ("stages." + std::to_string(s)).c_str());
  }
  return tap(*this, pool_->forward(norm_map(*pool_norm_, map)), "pool");
}

Vitamin::Vitamin(const VitaminOptions& o)
    : Vit(backbone(o), {.patches = std::make_shared<VitaminStem>(o),
                        .feed_forward = [&o] { return std::make_shared<NormedGatedMlp>(o.dim, o.ffn); }}) {}

VitaminOptions read_vitamin(PublishedConfig& config) {
  VitaminOptions vitamin;
  vitamin.image = config.pair("img_size", 224);
  vitamin.channels = config.get<int64_t>("in_chans", 3);
  vitamin.dim = config.require<int64_t>("embed_dim");
  vitamin.depth = config.require<int64_t>("depth");
  vitamin.heads = config.require<int64_t>("num_heads");
  vitamin.ffn = static_cast<int64_t>(static_cast<double>(vitamin.dim) * config.get<double>("mlp_ratio", 4));
  vitamin.drop_path = config.get<double>("drop_path_rate", 0);
  const std::string positions = config.get<std::string>("pos_embed", "learn");
  check_choice(positions, {"learn", "none"}, config.where() + ": pos_embed");
  vitamin.positions = positions == "learn";
  PublishedConfig stages = config.nested("embed_cfg");
  vitamin.stem = stages.get<int64_t>("stem_width", 64);
  auto widths = stages.require<std::vector<int64_t>>("embed_dim"),
       depths = stages.require<std::vector<int64_t>>("depths");
  if (widths.size() != 3 || depths.size() != 3) throw Error("expected three stages", stages.where());
  vitamin.widths = {widths[0], widths[1]}, vitamin.depths = {depths[0], depths[1]};
  stages.ignore({"conv_cfg", "transformer_cfg", "head_cfg", "head_type"});
  stages.done();
  config.expect("class_token", false);
  config.expect<std::string>("global_pool", "avg");
  config.ignore({"num_classes"});
  return vitamin;
}

Json vitamin_arguments(const std::string& architecture, const std::string& where) {
  struct Size {
    int64_t first, second, dim, depth, heads;
  };
  static const std::map<std::string, Size> sizes = {{"small", {64, 128, 384, 14, 6}},
                                                    {"base", {128, 256, 768, 14, 12}},
                                                    {"large", {160, 320, 1024, 31, 16}},
                                                    {"large2", {160, 320, 1024, 31, 16}},
                                                    {"xlarge", {192, 384, 1152, 32, 16}}};
  static const std::regex pattern(R"(vitamin_([a-z0-9]+)_(\d+)(\..*)?)");
  std::smatch m;
  if (!std::regex_match(architecture, m, pattern) || !sizes.contains(m[1]))
    throw Error("unknown timm architecture '" + architecture + "'", where,
                "give its constructor arguments under \"trunk\" (embed_dim, depth, num_heads, embed_cfg)");
  const Size& size = sizes.at(m[1]);
  return {{"img_size", std::stoll(m[2])},
          {"embed_dim", size.dim},
          {"depth", size.depth},
          {"num_heads", size.heads},
          {"mlp_ratio", 2.0},
          {"pos_embed", m[1] == "xlarge" ? "none" : "learn"},
          {"embed_cfg",
           {{"embed_dim", {size.first, size.second, size.dim}}, {"depths", {2, 4, 1}}, {"stem_width", size.first}}}};
}

NameTable vitamin_names(const std::string& tower, const std::string& pool) {
  const NameTable own = {{
                             {"pos_embed", "positions"},
                             {"blocks.{n}.mlp.norm.*", "blocks.{n}.ffn.norm.*"},
                             {"blocks.{n}.mlp.{w0|w1}.*", "blocks.{n}.ffn.mlp.gate_up.*[{0|1}]"},
                             {"blocks.{n}.mlp.w2.*", "blocks.{n}.ffn.mlp.down.*"},
                         },
                         {{"patch_embed", "patches"}, {"blocks.{n}", "blocks.{n}"}}};
  const NameTable stem = {{
                              {"stem.conv1.*", "first.*"},
                              {"stem.norm1.*", "norm.*"},
                              {"stem.conv2.*", "second.*"},
                              {"stages.{s}.{b}.pre_norm.*", "stages.{s}.{b}.norm.*"},
                              {"stages.{s}.{b}.conv1_1x1.*", "stages.{s}.{b}.up.*"},
                              {"stages.{s}.{b}.conv2_kxk.*", "stages.{s}.{b}.depthwise.*"},
                              {"stages.{s}.{b}.conv3_1x1.*", "stages.{s}.{b}.down.*"},
                              {"stages.{s}.{b}.shortcut.expand.*", "stages.{s}.{b}.shortcut.*"},
                              {"pool.norm.*", "pool_norm.*"},
                              {"pool.proj.*", "pooling.*"},
                          },
                          {{"stem", "stem"}, {"stages.{s}", "stages.{s}"}, {"pool", "pool"}}};
  const NameTable parts =
      own + stem.within("patch_embed.backbone.", "patches.") + timm_block_names().within("blocks.{n}.", "blocks.{n}.");
  return parts.within("", tower) + NameTable({{"fc_norm.*", "norm.*"}}, {{"fc_norm", "norm"}}).within("", pool);
}

Json vitamin_pool(const VitaminOptions& vitamin) { return {{"kind", "mean"}, {"dim", vitamin.dim}, {"eps", kEps}}; }

namespace {

Assembly assemble_vitamin(const Json& json, const std::string& where) {
  Json arguments = json;
  if (json.contains("architecture")) {
    arguments = vitamin_arguments(json["architecture"], where);
    if (json.contains("model_args")) arguments.update(json["model_args"]);
    if (json.contains("num_classes")) arguments["num_classes"] = json["num_classes"];
  }
  PublishedConfig config(arguments, where);
  const VitaminOptions vitamin = read_vitamin(config);
  const int64_t classes = config.get<int64_t>("num_classes", 1000);
  config.done();
  return {std::make_shared<ImageClassifier>(ImageClassifierOptions{
              .encoder = of_kind("vitamin", vitamin), .pool = vitamin_pool(vitamin), .classes = classes}),
          NameTable{{"head.*", "head.*"}} + vitamin_names("encoder.", "pool.")};
}

const FamilyRegistration vitamin({"timm-vitamin", "ViTamin (timm)",
                                  [](const Json& config) {
                                    return config.contains("embed_cfg") ||
                                           config.value("architecture", "").starts_with("vitamin_");
                                  },
                                  assemble_vitamin});

}  // namespace
}  // namespace tessera

// Vision-LSTM (Alkin et al., 2024): a ViT whose blocks are mLSTM layers without feed-forward, which read the patches
// from the top left and from the bottom right in turn. Both published versions, under the names of their authors' code.
#include "encoders/classifier.h"
#include "encoders/vit.h"
#include "io/published_config.h"
#include "layers/family.h"

namespace tessera {
namespace {

const NameTable kBlock = {{
                              {"norm.*", "norm1.*"},
                              {"layer.proj_up.*", "attention.up.*"},
                              {"layer.proj_down.*", "attention.down.*"},
                              {"layer.{q_proj|k_proj|v_proj}.*", "attention.{q|k|v}.*"},
                              {"layer.mlstm_cell.{igate|fgate}.*", "attention.gates.*[{0|1}]"},
                              {"layer.mlstm_cell.outnorm.*", "attention.norm.*"},
                              {"layer.learnable_skip", "attention.skip"},
                          },
                          {{"layer.mlstm_cell", "attention.norm"}}};

const NameTable kFrame = {{
                              {"patch_embed.proj.*", "encoder.patch.*"},
                              {"pos_embed.embed", "encoder.positions"},
                              {"head.*", "head.*"},
                          },
                          {}};

std::string block(int64_t i) { return "encoder.blocks." + std::to_string(i); }

/// The first version: a block for each direction. The norm of all tokens is called legacy_norm, and norm is that of
/// the pooled vector.
NameTable names1(int64_t depth) {
  const NameTable parts = kBlock + NameTable{{"layer.conv1d.conv.*", "attention.convolution.*"}};
  NameTable names = kFrame + NameTable{{{"legacy_norm.*", "encoder.norm.*"}, {"norm.*", "pool.norm.*"}},
                                       {{"legacy_norm", "encoder.norm"}, {"blocks.{n}", "encoder.blocks.{n}"}}};
  for (int64_t i = 0; i < depth; ++i) names = names + parts.within("blocks." + std::to_string(i) + ".", block(i) + ".");
  return names;
}

/// The second: pairs, and the two norms the other way round.
NameTable names2(int64_t pairs) {
  const NameTable parts = kBlock + NameTable{{"layer.conv.*", "attention.convolution.*"}};
  NameTable names =
      kFrame + NameTable{{{"norm.*", "encoder.norm.*"}, {"legacy_norm.*", "pool.norm.*"}}, {{"norm", "encoder.norm"}}};
  for (int64_t i = 0; i < pairs; ++i) {
    const std::string pair = "blocks." + std::to_string(i), first = pair + ".rowwise_from_top_left",
                      second = pair + ".rowwise_from_bot_right", last = block(2 * i + 1);
    names =
        names + parts.within(first + ".", block(2 * i) + ".") + parts.within(second + ".", last + ".") +
        NameTable{
            {}, {{first.c_str(), block(2 * i).c_str()}, {second.c_str(), last.c_str()}, {pair.c_str(), last.c_str()}}};
  }
  return names;
}

Json directions(const Json& mixer) {
  Json forward = mixer, backward = mixer;
  backward["reverse"] = true;
  return Json::array({forward, backward});
}

Assembly assemble_vision_lstm(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const bool second = json.contains("conv_kind") || config.get<std::string>("pooling", "") == "bilateral_flatten";
  VitOptions o;
  const auto shape = config.get<std::vector<int64_t>>("input_shape", {3, 224, 224});
  if (shape.size() != 3) throw Error("input_shape is [channels, height, width]", where);
  o.channels = shape[0], o.image = {shape[1], shape[2]};
  o.patch = config.pair("patch_size", 16);
  o.dim = config.get<int64_t>("dim", 192);
  const int64_t depth = config.get<int64_t>("depth", second ? 12 : 24);
  o.depth = second ? 2 * depth : depth;
  o.drop_path = config.get<double>("drop_path_rate", 0);
  o.class_token = false, o.eps = 1e-5, o.heads = 4;
  o.feed_forward = {{"kind", "none"}};
  const auto classes = config.get<std::vector<int64_t>>("output_shape", {1000});
  if (classes.size() != 1) throw Error("output_shape is [classes]", where);
  const bool legacy = config.get<bool>("legacy_norm", false);
  Json pool = {{"kind", "ends"}, {"joined", second}};
  if (second) {
    const bool bias = config.get<bool>("proj_bias", true);
    const bool norm_bias = config.get<bool>("norm_bias", true);
    o.norm = norm_bias ? "zero-centred-layer" : "zero-centred-scale", o.final_eps = 1e-6;
    config.expect<std::string>("conv_kind", "2d");
    o.mixer = directions({{"kind", "mlstm"},
                          {"heads", 4},
                          {"grid", true},
                          {"kernel", config.get<int64_t>("conv_kernel_size", 3)},
                          {"bias", bias},
                          {"norm_bias", norm_bias}});
    if (legacy) pool["dim"] = 2 * o.dim;
    config.ignore({"init_weights"});
  } else {
    o.norm = "zero-centred-scale", o.final_norm = legacy;
    o.mixer = directions({{"kind", "mlstm"}, {"heads", 4}});
    pool["dim"] = o.dim, pool["eps"] = 1e-6;
    config.expect<std::string>("alternation", "bidirectional");
  }
  config.expect<std::string>("mode", "classifier");
  config.expect<std::string>("pooling", second ? "bilateral_flatten" : "bilateral_avg");
  config.ignore({"drop_path_decay", "stride"});
  if (config.has("stride")) throw Error("overlapping patches are not published", where + ": stride");
  config.done();
  ImageClassifierOptions options{.encoder = write_options(o), .pool = pool, .classes = classes[0]};
  options.encoder["kind"] = "vit";
  return {std::make_shared<ImageClassifier>(options), second ? names2(depth) : names1(depth)};
}

const FamilyRegistration family({"vision-lstm", "Vision-LSTM, image classifier (NX-AI)",
                                 [](const Json& config) {
                                   return config.contains("input_shape") && config.contains("pooling");
                                 },
                                 assemble_vision_lstm});

}  // namespace
}  // namespace tessera

// SSAST (Gong et al., 2022) and AST (Gong et al., 2021): a distilled DeiT that reads spectrograms, as the authors and
// as transformers publish it.
#include "encoders/ssast.h"

#include <set>

#include "core/error.h"
#include "encoders/classifier.h"
#include "encoders/vit_published.h"
#include "layers/family.h"

namespace tessera {

Tensor spectrogram_picture(const Tensor& spectrogram) { return spectrogram.transpose(1, 2).unsqueeze(1); }

SpectrogramPretraining::SpectrogramPretraining(const VitOptions& vit) {
  encoder_ = add<Vit>("encoder", vit);
  const int64_t pixels = vit.patch[0] * vit.patch[1];
  pick_ = add<Mlp>("pick", vit.dim, vit.dim, "relu", pixels);
  draw_ = add<Mlp>("draw", vit.dim, vit.dim, "relu", pixels);
  mask_token_ = weight("mask_token", {1, 1, vit.dim});
}

std::pair<Tensor, Tensor> SpectrogramPretraining::predicted(const Tensor& picture, const Tensor& masked, Mlp& head) {
  const auto& patch = encoder_->options().patch;
  Tokens tokens = encoder_->patches(picture);
  const Tensor hidden = torch::zeros({tokens.x.size(0), tokens.x.size(1)}, tokens.x.options().requires_grad(false))
                            .scatter(1, masked, 1)
                            .unsqueeze(-1);  // B x L x 1
  tokens.x = tokens.x * (1 - hidden) + mask_token_ * hidden;
  tokens = encoder_->encode(encoder_->prepend_prefix(encoder_->positioned(tokens)));
  const auto at = [&](const Tensor& x) { return x.gather(1, masked.unsqueeze(-1).expand({-1, -1, x.size(2)})); };
  const Tensor pixels = torch::im2col(picture, patch, {1, 1}, {0, 0}, patch).transpose(1, 2);  // B x L x pixels
  return {head.forward(at(tokens.body())), at(pixels).detach()};
}

SpectrogramPretraining::Picked SpectrogramPretraining::pick(const Tensor& picture, const Tensor& masked) {
  const auto [made, wanted] = predicted(picture, masked, *pick_);
  const Tensor scores = torch::matmul(wanted, made.transpose(1, 2));  // B x M (patches) x M (predictions)
  const Tensor best = scores.softmax(-1).argmax(1);                   // for each prediction, over the patches
  const Tensor own = torch::arange(masked.size(1), masked.options());
  return {-scores.log_softmax(-1).diagonal(0, 1, 2).mean(), best.eq(own).to(torch::kFloat32).mean()};
}

Tensor SpectrogramPretraining::draw(const Tensor& picture, const Tensor& masked) {
  const auto [made, wanted] = predicted(picture, masked, *draw_);
  return (made - wanted).pow(2).mean();
}

std::vector<int64_t> cluster_mask(const std::vector<int64_t>& starts, int64_t edge, int64_t columns, int64_t patches,
                                  int64_t count) {
  std::set<int64_t> chosen;
  for (const int64_t start : starts) {
    if (static_cast<int64_t>(chosen.size()) > count) break;
    for (int64_t row = 0; row < edge; ++row)
      for (int64_t column = 0; column < edge; ++column)
        if (const int64_t id = start + columns * row + column; id > 0 && id < patches) chosen.insert(id);
  }
  if (static_cast<int64_t>(chosen.size()) < count)
    throw Error(std::to_string(starts.size()) + " squares mask " + std::to_string(chosen.size()) + " patches of " +
                    std::to_string(count),
                "cluster mask", "give more starts");
  return {chosen.begin(), std::next(chosen.begin(), count)};
}

Grid patch_grid(const VitOptions& vit) {
  const auto& stride = vit.stride.empty() ? vit.patch : vit.stride;
  return {(vit.image[0] - vit.patch[0]) / stride[0] + 1, (vit.image[1] - vit.patch[1]) / stride[1] + 1};
}

Tensor adapt_spectrogram_positions(const Tensor& table, int64_t prefix, const Grid& from, const Grid& to) {
  Tensor grid =
      table.narrow(1, prefix, from[0] * from[1]).transpose(1, 2).reshape({1, table.size(2), from[0], from[1]});
  for (const int64_t axis : {1, 0}) {
    const int64_t have = from[axis], want = to[axis];
    Grid size = {grid.size(2), grid.size(3)};
    size[axis] = want;
    grid = want < have ? grid.narrow(2 + axis, have / 2 - want / 2, want)
                       : torch::upsample_bilinear2d(grid, {size[0], size[1]}, false);
  }
  return torch::cat({table.narrow(1, 0, prefix), grid.flatten(2).transpose(1, 2)}, 1);
}

namespace {

NameTable tower_names() {
  return {{
              {"[module.]v.cls_token", "encoder.class_token"},
              {"[module.]v.dist_token", "encoder.registers"},
              {"[module.]v.pos_embed", "encoder.positions"},
              {"[module.]v.patch_embed.proj.*", "encoder.patch.*"},
              {"[module.]v.blocks.{n}.norm{m}.*", "encoder.blocks.{n}.norm{m}.*"},
              {"[module.]v.blocks.{n}.attn.{qkv|proj}.*", "encoder.blocks.{n}.attention.{qkv|proj}.*"},
              {"[module.]v.blocks.{n}.mlp.{fc1|fc2}.*", "encoder.blocks.{n}.ffn.{up|down}.*"},
              {"[module.]v.norm.*", "encoder.norm.*"},
              {"[module.]v.head.*", ""},  // of the DeiT that it began as
              {"[module.]v.head_dist.*", ""},
              {"[module.]p_input_fdim", ""},  // the size of pre-training, which the config gives
              {"[module.]p_input_tdim", ""},
              {"[module.]mask_embed", "mask_token"},
              {"[module.]cpredlayer.{0|2}.*", "pick.{up|down}.*"},
              {"[module.]gpredlayer.{0|2}.*", "draw.{up|down}.*"},
              {"[module.]mlp_head.0.*", "pool.norm.*"},
              {"[module.]mlp_head.1.*", "head.*"},
          },
          {{"v.patch_embed", "encoder.patches"},
           {"v.blocks.{n}", "encoder.blocks.{n}"},
           {"v.norm", "encoder.norm"},
           {"v.patch_embed (mpc)", "encoder.patches"},
           {"v.blocks.{n} (mpc)", "encoder.blocks.{n}"},
           {"v.norm (mpc)", "encoder.norm"}}};
}

VitOptions read_ssast(PublishedConfig& config) {
  PublishedConfig tower = config.nested("vit");
  VitOptions o;
  o.image = {config.get<int64_t>("input_fdim", 128), config.get<int64_t>("input_tdim", 1024)};
  o.patch = {config.get<int64_t>("fshape", 16), config.get<int64_t>("tshape", 16)};
  o.stride = {config.get<int64_t>("fstride", 16), config.get<int64_t>("tstride", 16)};
  o.channels = 1, o.registers = 1;
  o.dim = tower.get<int64_t>("embed_dim", 768);
  o.depth = tower.get<int64_t>("depth", 12);
  o.heads = tower.get<int64_t>("num_heads", 12);
  o.ffn = static_cast<int64_t>(tower.get<double>("mlp_ratio", 4) * static_cast<double>(o.dim));
  o.eps = tower.get<double>("norm_eps", 1e-6);
  tower.ignore({"num_classes"});
  tower.done();
  return o;
}

Assembly assemble_ssast(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const VitOptions vit = read_ssast(config);
  const auto labels = read_labels(json);  // the authors keep them beside the file; ours has them in it
  const int64_t classes = config.get<int64_t>("label_dim", labels.empty() ? 527 : static_cast<int64_t>(labels.size()));
  const bool pretraining = !config.has("pretraining");
  const auto task = config.get<std::string>("task", "ft_avgtok");
  check_choice(task, {"ft_avgtok", "ft_cls"}, where + ": task");
  config.ignore({"pretraining", "id2label"});
  config.done();
  if (pretraining) return {std::make_shared<SpectrogramPretraining>(vit), tower_names()};
  ImageClassifierOptions options{.encoder = write_options(vit), .classes = classes};
  options.encoder["kind"] = "vit";
  options.pool = {{"kind", task == "ft_cls" ? "prefix" : "mean"}, {"dim", vit.dim}, {"eps", 1e-5}};
  auto classifier = std::make_shared<ImageClassifier>(options);
  classifier->labels = labels;
  return {classifier, tower_names()};
}

Assembly assemble_ast(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  VitOptions o = read_hf_vit(config);
  o.patch = config.pair("patch_size", 16);
  o.stride = {config.get<int64_t>("frequency_stride", 10), config.get<int64_t>("time_stride", 10)};
  o.image = {config.get<int64_t>("num_mel_bins", 128), config.get<int64_t>("max_length", 1024)};
  o.channels = 1, o.registers = 1;
  ImageClassifierOptions options{.encoder = write_options(o),
                                 .pool = {{"kind", "prefix"}, {"dim", o.dim}, {"eps", o.eps}}};
  options.encoder["kind"] = "vit";
  const auto labels = read_labels(json);
  options.classes = labels.empty() ? config.get<int64_t>("num_labels", 2) : static_cast<int64_t>(labels.size());
  config.done();
  auto module = std::make_shared<ImageClassifier>(options);
  module->labels = labels;
  return {module, NameTable{{{"classifier.layernorm.*", "pool.norm.*"}, {"classifier.dense.*", "head.*"}},
                            {{"hidden_states.0", "encoder.embed"}, {"hidden_states.1", "encoder.blocks.0"}}} +
                      hf_vit_tower().within("audio_spectrogram_transformer.", "encoder.")};
}

const FamilyRegistration ssast(
    {"ssast", "SSAST, audio: pre-training and classifier (the authors' code)",
     [](const Json& config) { return config.contains("fshape") && config.contains("tshape"); }, assemble_ssast});
const FamilyRegistration ast(
    {"ast", "AST, audio classifier (transformers)",
     [](const Json& config) { return is_model_type(config, {"audio-spectrogram-transformer"}); }, assemble_ast});

}  // namespace
}  // namespace tessera

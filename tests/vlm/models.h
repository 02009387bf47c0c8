#pragma once
#include "bridges/perceiver.h"
#include "bridges/projection.h"
#include "encoders/vit.h"
#include "language/decoder.h"
#include "layers/promises.h"
#include "vlm/idefics2.h"
#include "vlm/llava_next.h"
#include "vlm/paligemma.h"

namespace tessera::testing {

constexpr int64_t kPlace = 50;  // beyond the vocabulary of 50

inline VitOptions small_vit(bool clip) {
  VitOptions o;
  o.image = {12, 12}, o.patch = {4, 4}, o.dim = 16, o.depth = 2, o.heads = 2, o.ffn = 20;
  o.class_token = o.pre_norm = clip;
  return o;
}

inline DecoderOptions small_llama() {
  DecoderOptions o;
  o.vocabulary = 50, o.dim = 24, o.depth = 2, o.heads = 4, o.ffn = 28, o.context = 64, o.kv_heads = 2;
  o.positions = "rotary", o.activation = "silu", o.gated = true, o.norm = "rms";
  o.qkv_bias = o.proj_bias = o.ffn_bias = o.tied = false;
  return o;
}

inline VisionLanguageParts parts(bool clip, std::shared_ptr<Bridge> bridge = nullptr) {
  if (!bridge) bridge = std::make_shared<MlpBridge>(MlpBridgeOptions{.dim = 16, .width = 24});
  return {std::make_shared<Vit>(small_vit(clip)), bridge, std::make_shared<Decoder>(small_llama())};
}

template <class Model, class... Args>
std::shared_ptr<Model> made(Args&&... args) {
  auto model = std::make_shared<Model>(std::forward<Args>(args)...);
  randomise(*model);
  model->eval();
  return model;
}

inline VisionLanguageOptions at_places() {
  VisionLanguageOptions options;
  options.placeholder_id = kPlace;
  return options;
}

/// CLIP without its class token, an MLP, LLaMA; a picture is 9 tokens.
inline std::shared_ptr<VisionLanguage> llava() { return made<VisionLanguage>(parts(true), at_places()); }

inline std::shared_ptr<PaliGemma> paligemma() {
  return made<PaliGemma>(parts(false, std::make_shared<LinearBridge>(LinearBridgeOptions{.dim = 16, .width = 24})),
                         at_places());
}

/// Tiles of 12 x 12 pixels, 9 tokens each.
inline std::shared_ptr<LlavaNext> llava_next() {
  return made<LlavaNext>(parts(true), at_places(),
                         LlavaNextOptions{.grid = {{12, 24}, {24, 12}, {24, 24}, {36, 12}, {12, 36}}, .tile = 12});
}

/// A picture of any size is 3 tokens.
inline std::shared_ptr<Idefics2> idefics2() {
  VisionLanguageParts all = parts(false, std::make_shared<PerceiverBridge>(PerceiverBridgeOptions{.dim = 16,
                                                                                                  .projection = 9,
                                                                                                  .width = 24,
                                                                                                  .latents = 3,
                                                                                                  .depth = 2,
                                                                                                  .heads = 4,
                                                                                                  .head_dim = 6,
                                                                                                  .kv_heads = 2}));
  VitOptions vit = small_vit(false);
  vit.fractional_positions = true;
  all.encoder = std::make_shared<Vit>(vit);
  return made<Idefics2>(all, at_places());
}

inline Tensor some_pixels(int64_t count, int64_t height = 12, int64_t width = 12) {
  at::manual_seed(7);
  return torch::randn({count, 3, height, width});
}

/// One text, of numbers and of pictures ("-9": a picture of 9 tokens): {3, -9, 4}.
inline Tensor ids_of(const std::vector<int64_t>& words) {
  std::vector<int64_t> ids;
  for (const int64_t word : words)
    word < 0 ? void(ids.insert(ids.end(), static_cast<size_t>(-word), kPlace)) : ids.push_back(word);
  return torch::tensor(ids, torch::kInt64).unsqueeze(0);
}

/// Texts of different lengths as a batch, padded on the left.
inline TextBatch left_padded(const std::vector<Tensor>& rows) {
  int64_t longest = 0;
  for (const Tensor& row : rows) longest = std::max(longest, row.size(1));
  std::vector<Tensor> ids, mask;
  for (const Tensor& row : rows) {
    const int64_t missing = longest - row.size(1);
    ids.push_back(torch::constant_pad_nd(row, {missing, 0}, 0));
    mask.push_back(torch::constant_pad_nd(torch::ones_like(row, torch::kBool), {missing, 0}, false));
  }
  return {torch::cat(ids), torch::cat(mask), {}};
}

}  // namespace tessera::testing

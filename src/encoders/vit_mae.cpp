#include "encoders/vit_mae.h"

#include <cmath>

#include "core/error.h"
#include "encoders/vit_published.h"
#include "layers/family.h"
#include "layers/positions.h"

namespace tessera {

VitMae::VitMae(const VitMaeOptions& options) : options_(options) {
  const auto& o = options_;
  encoder_ = add<Vit>("encoder", o.encoder);
  const int64_t rows = o.encoder.image[0] / o.encoder.patch[0], columns = o.encoder.image[1] / o.encoder.patch[1];
  decoder_embed_ = add<Linear>("decoder_embed", o.encoder.dim, o.decoder_dim);
  mask_token_ = weight("mask_token", {1, 1, o.decoder_dim});
  decoder_positions_ = register_buffer(
      "decoder_positions",
      torch::cat({torch::zeros({1, o.decoder_dim}), sine_cosine_positions(rows, columns, o.decoder_dim)}).unsqueeze(0));
  VitOptions decoder = o.encoder;
  decoder.dim = o.decoder_dim, decoder.depth = o.decoder_depth, decoder.heads = o.decoder_heads,
  decoder.ffn = o.decoder_ffn;
  decoder_blocks_ = register_module("decoder_blocks", vit_blocks(decoder));
  decoder_norm_ = add<Norm>("decoder_norm", o.decoder_dim, o.encoder.eps);
  decoder_pred_ =
      add<Linear>("decoder_pred", o.decoder_dim, o.encoder.patch[0] * o.encoder.patch[1] * o.encoder.channels);
}

VitMae::Output VitMae::forward(const Tensor& pixels, const Tensor& noise) {
  const Tokens patches = encoder_->embed_patches(pixels);
  const int64_t count = patches.x.size(1), dim = patches.x.size(2);
  if (noise.sizes() != patches.x.sizes().slice(0, 2))
    throw Error("one noise value per patch is needed, B x N", "vit-mae");
  const auto kept_count = static_cast<int64_t>(static_cast<double>(count) * (1 - options_.mask_ratio));

  const Tensor shuffle = noise.argsort(int64_t{1}, false), restore = shuffle.argsort(int64_t{1}, false);  // B x N
  const Tensor kept = shuffle.narrow(1, 0, kept_count);                                                   // B x kept
  const Tensor mask = restore.ge(kept_count).to(pixels.scalar_type());                                    // B x N
  const Tokens visible = patches.with(patches.x.gather(1, kept.unsqueeze(-1).expand({-1, -1, dim})));
  Tokens latent = encoder_->prepend_prefix(visible);
  tap(*encoder_, latent.x, "embed");
  latent = encoder_->encode(latent);

  const Tensor predicted = decode(latent, restore);
  return {loss(pixels, predicted, mask), predicted, mask, restore};
}

Tensor VitMae::decode(const Tokens& latent, const Tensor& restore) {
  const Tensor x = decoder_embed_->forward(latent.x);  // B x (1 + kept) x decoder_dim
  const int64_t batch = x.size(0), count = restore.size(1), kept = x.size(1) - 1, dim = x.size(2);
  const Tensor filled = torch::cat({x.narrow(1, 1, kept), mask_token_.expand({batch, count - kept, -1})}, 1);
  const Tensor ordered = filled.gather(1, restore.unsqueeze(-1).expand({-1, -1, dim}));
  // A picture of another size has another number of patches; the reference resizes the table as one row of them.
  Tokens tokens =
      latent.with(torch::cat({x.narrow(1, 0, 1), ordered}, 1) +
                  resample_positions(decoder_positions_, 1, {1, decoder_positions_.size(1) - 1}, {1, count}));
  for (const auto& block : *decoder_blocks_) tokens = block->forward(tokens);
  return decoder_pred_->forward(decoder_norm_->forward(tokens.x)).narrow(1, 1, count);
}

Tensor VitMae::patchify(const Tensor& pixels) const {
  const int64_t p = options_.encoder.patch[0], q = options_.encoder.patch[1], channels = pixels.size(1);
  const int64_t rows = pixels.size(2) / p, columns = pixels.size(3) / q;
  return pixels.reshape({-1, channels, rows, p, columns, q})
      .permute({0, 2, 4, 3, 5, 1})
      .reshape({-1, rows * columns, p * q * channels});
}

Tensor VitMae::unpatchify(const Tensor& patches) const {
  const int64_t p = options_.encoder.patch[0], q = options_.encoder.patch[1], channels = options_.encoder.channels;
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(patches.size(1)))));
  if (side * side != patches.size(1))
    throw Error("only the patches of a square picture can be put together", "vit-mae");
  return patches.reshape({-1, side, side, p, q, channels})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({-1, channels, side * p, side * q});
}

Tensor VitMae::loss(const Tensor& pixels, const Tensor& predicted, const Tensor& mask) const {
  Tensor target = patchify(pixels);
  if (options_.normalise_targets) {
    const Tensor mean = target.mean(-1, true), variance = target.var(-1, /*unbiased=*/true, /*keepdim=*/true);
    target = (target - mean) / (variance + 1e-6).sqrt();
  }
  return ((predicted - target).pow(2).mean(-1) * mask).sum() / mask.sum();
}

namespace {

Assembly assemble_mae(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  VitMaeOptions options;
  options.encoder = read_hf_vit(config);
  options.encoder.fixed_positions = true;
  options.decoder_dim = config.get<int64_t>("decoder_hidden_size", 512);
  options.decoder_depth = config.get<int64_t>("decoder_num_hidden_layers", 8);
  options.decoder_heads = config.get<int64_t>("decoder_num_attention_heads", 16);
  options.decoder_ffn = config.get<int64_t>("decoder_intermediate_size", 2048);
  options.mask_ratio = config.get<double>("mask_ratio", 0.75);
  options.normalise_targets = config.get<bool>("norm_pix_loss", false);
  config.done();
  const NameTable decoder = {{
                                 {"decoder.mask_token", "mask_token"},
                                 {"decoder.decoder_pos_embed", "decoder_positions"},
                                 {"decoder.decoder_embed.*", "decoder_embed.*"},
                                 {"decoder.decoder_norm.*", "decoder_norm.*"},
                                 {"decoder.decoder_pred.*", "decoder_pred.*"},
                             },
                             {{"decoder.decoder_norm", "decoder_norm"}}};
  return {std::make_shared<VitMae>(options), hf_vit_tower().within("vit.", "encoder.") + decoder +
                                                 hf_vit_layers().within("decoder.decoder_layers.", "decoder_blocks.")};
}

const FamilyRegistration family({"vit-mae", "masked autoencoder (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"vit_mae"}); }, assemble_mae});

}  // namespace
}  // namespace tessera

#include "encoders/patch_labels.h"

#include "core/error.h"

namespace tessera {

PatchLabellingClassifier::PatchLabellingClassifier(const ImageClassifierOptions& options) : ImageClassifier(options) {
  patch_head_ = add<Linear>("patch_head", encoder().width(), options.classes);
}

PatchLabellingClassifier::Logits PatchLabellingClassifier::label(const Tensor& pixels) {
  Taps taps(*this, {"encoder.norm"});
  const Tensor picture = forward(pixels);
  const int64_t prefix = encoder().layout(pixels.size(2), pixels.size(3)).prefix;
  const Tensor& tokens = taps.at("encoder.norm");
  return {picture, patch_head_->forward(tokens.narrow(1, prefix, tokens.size(1) - prefix))};
}

MixedPictures mix_patches(const Tensor& pixels, const Tensor& labels, const Tensor& other, const PatchBox& box,
                          int64_t side, double kept, int64_t classes, double smoothing) {
  if (side < 1 || pixels.dim() != 4 || pixels.size(2) != pixels.size(3) || pixels.size(2) % side != 0)
    throw Error("the pictures are not square, or no multiple of " + std::to_string(side) + " patches", "mix_patches");
  if (box.top < 0 || box.left < 0 || box.top > box.bottom || box.left > box.right || box.bottom > side ||
      box.right > side)
    throw Error("the box is not within the picture", "mix_patches");
  const auto boxed = [&](const Tensor& whole, int64_t unit, int64_t rows, int64_t columns) {
    return whole.narrow(rows, box.top * unit, (box.bottom - box.top) * unit)
        .narrow(columns, box.left * unit, (box.right - box.left) * unit);
  };
  MixedPictures mixed;
  mixed.pixels = pixels.clone();
  const int64_t unit = pixels.size(2) / side;
  boxed(mixed.pixels, unit, 2, 3).copy_(boxed(pixels.index_select(0, other), unit, 2, 3));
  const Tensor smooth = torch::one_hot(labels, classes).to(torch::kFloat32) * (1 - smoothing) +
                        smoothing / static_cast<double>(classes);  // B x classes
  const Tensor theirs = smooth.index_select(0, other);
  mixed.labels = smooth * kept + theirs * (1 - kept);
  const std::vector<int64_t> shape = {labels.size(0), side, side, classes};
  Tensor patches = smooth.view({-1, 1, 1, classes}).expand(shape).clone();
  boxed(patches, 1, 1, 2).copy_(boxed(theirs.view({-1, 1, 1, classes}).expand(shape), 1, 1, 2));
  mixed.patches = patches.flatten(1, 2);
  return mixed;
}

}  // namespace tessera

#pragma once
#include <functional>
#include <span>

#include "core/error.h"
#include "fusion/dual_encoder.h"
#include "tasks/inputs.h"

namespace tessera {

/// Pictures as a model takes them, with what they are.
struct PictureBatch {
  std::vector<size_t> indices;  ///< of the inputs
  ImageBatch pictures;          ///< all of one size
};

struct FeedOptions {
  int64_t batch = 32;
  /// Called for a picture that cannot be read or decoded, which is then left out; without it, that is an Error.
  std::function<void(size_t index, const Error& error)> bad = nullptr;
};

/// A picture as the model's processor makes it: 3 x H x W. Where a picture has alpha, it is laid over white first.
/// Drawings (SVG) are drawn at twice the size that the processor asks for, whatever size they state.
/// @throws Error when the bytes are no picture
Tensor prepare_picture(const ImageProcessor& processor, Bytes bytes, const std::string& name);

/// Reads, decodes and prepares pictures, a batch at a time and on all threads, and hands them over in order. Pictures
/// that come out in different sizes go into batches of their own. Long work shows its progress.
/// @throws Error for the first bad picture, after those before it were handed over; see FeedOptions::bad
void feed_pictures(const ImageProcessor& processor, std::span<const PictureInput> inputs, const FeedOptions& options,
                   const std::function<void(const PictureBatch&)>& take);

/// The processor of a model. @throws Error when its folder has none
const ImageProcessor& processor_of(const Model& model);

/// The tokenizer of a model. @throws Error when its folder has none
const Tokenizer& tokenizer_of(const Model& model);

/// Pictures to vectors, by a dual encoder (the shared space), an image classifier (its pooled features) or a bare
/// encoder (the class token, else the mean of all).
class ImageEmbedder {
 public:
  /// @throws Error when the model has no way to see, or no processor
  explicit ImageEmbedder(const Model& model);

  /// B x 3 x H x W -> B x D, float32, not normalised, without gradient. @throws Error when a value is not finite
  Tensor embed(const Tensor& pixels) const;
  const ImageProcessor& processor() const { return *model_.processor; }

 private:
  Model model_;
  std::function<Tensor(const Tensor&)> encode_;
};

struct TextEmbedOptions {
  int64_t batch = 32;
  bool truncate = false;  ///< cut what is longer than the model's context; else that is an Error
};

/// Texts to vectors of a dual encoder's shared space.
class TextEmbedder {
 public:
  /// @throws Error when the model does not read text, or has no tokenizer
  explicit TextEmbedder(const Model& model);

  /// -> N x D, float32, not normalised, without gradient. @throws Error when a text is too long, or a value not finite
  Tensor embed(std::span<const std::string> texts, const TextEmbedOptions& options = {}) const;

  /// Ids with padding and mask, B x L. @throws Error for a text without tokens, or too long and not to be cut
  TextBatch tokenize(std::span<const std::string> texts, bool truncate = false) const;

 private:
  Model model_;
  DualEncoder& encoder_;
};

}  // namespace tessera

#include "tasks/embed.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>

#include "core/pad_texts.h"
#include "core/progress.h"
#include "encoders/classifier.h"
#include "io/transform.h"
#include "layers/device.h"
#include "vlm/talker.h"

namespace tessera {
namespace {

constexpr Colour kWhite{255, 255, 255};
constexpr int64_t kLargestDrawing = 1024;

int64_t drawing_size(const ImageProcessorOptions& options) {
  const int64_t wanted =
      std::max({options.height, options.width, options.shortest_edge, options.crop_height, options.crop_width});
  return wanted == 0 ? 0 : std::min(2 * wanted, kLargestDrawing);
}

ImageBatch prepare(const ImageProcessor& processor, Bytes bytes, const std::string& name) {
  DecodeOptions decode;
  decode.svg_height = decode.svg_width = drawing_size(processor.options());
  Image image = decode_image(bytes, name, decode);
  if (image.channels == 4) image = composite(image, kWhite);
  return processor(image);
}

/// A picture, or why there is none.
struct Prepared {
  ImageBatch picture;
  std::optional<Error> error;
};

std::vector<Prepared> prepare_all(const ImageProcessor& processor, std::span<const PictureInput> inputs) {
  std::vector<Prepared> prepared(inputs.size());
  at::parallel_for(0, static_cast<int64_t>(inputs.size()), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      try {
        const std::string bytes = read_input(inputs[i]);
        const Bytes view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
        prepared[i].picture = prepare(processor, view, inputs[i].name);
      } catch (const Error& error) {
        prepared[i].error = error;
      }
    }
  });
  return prepared;
}

ImageBatch joined(const std::vector<ImageBatch>& rows) {
  const auto all = [&](Tensor ImageBatch::*part) {
    std::vector<Tensor> parts;
    for (const auto& row : rows)
      if ((row.*part).defined()) parts.push_back(row.*part);
    return parts.empty() ? Tensor() : torch::cat(parts);
  };
  ImageBatch batch{all(&ImageBatch::pixel_values), all(&ImageBatch::pixel_mask), all(&ImageBatch::image_sizes), {}};
  for (const auto& row : rows) batch.tiles.insert(batch.tiles.end(), row.tiles.begin(), row.tiles.end());
  return batch;
}

/// Collects pictures of one size and hands them over together.
class Batcher {
 public:
  explicit Batcher(const std::function<void(const PictureBatch&)>& take) : take_(take) {}

  void add(size_t index, const ImageBatch& picture) {
    if (!rows_.empty() && rows_.front().pixel_values.sizes() != picture.pixel_values.sizes()) flush();
    rows_.push_back(picture);
    indices_.push_back(index);
  }
  void flush() {
    if (rows_.empty()) return;
    const PictureBatch batch{std::move(indices_), joined(rows_)};
    rows_.clear();
    indices_.clear();
    take_(batch);
  }

 private:
  const std::function<void(const PictureBatch&)>& take_;
  std::vector<ImageBatch> rows_;
  std::vector<size_t> indices_;
};

Tensor finite(const Model& model, const Tensor& features) {
  return check_finite(model, features.to(torch::kFloat32).contiguous());
}

Tensor class_token_or_mean(Encoder& encoder, const Tensor& pixels) {
  const Tokens tokens = encoder.forward(pixels.to(device_of(encoder)));
  return tokens.prefix > 0 ? tokens.x.select(1, 0) : tokens.x.mean(1);
}

std::function<Tensor(const Tensor&)> encoder_of(const Model& model) {
  if (auto* dual = dual_encoder_in(*model.module))
    return [dual](const Tensor& pixels) { return dual->encode_image(pixels); };
  if (auto* classifier = dynamic_cast<ImageClassifier*>(model.module.get())) {
    const auto children = classifier->named_children();
    const auto pool = std::dynamic_pointer_cast<Pool>(children["pool"]);
    return [classifier, pool](const Tensor& pixels) {
      return pool->forward(classifier->encoder().forward(pixels.to(device_of(*classifier))));
    };
  }
  auto& encoder = model.as<Encoder>("turn pictures into vectors");
  return [&encoder](const Tensor& pixels) { return class_token_or_mean(encoder, pixels); };
}

std::string shortened(const std::string& text) { return text.size() <= 60 ? text : text.substr(0, 57) + "..."; }

}  // namespace

const Tokenizer& tokenizer_of(const Model& model) {
  if (!model.tokenizer)
    throw Error("ships no tokenizer", model.folder.string(), "put its tokenizer.json into the folder");
  return *model.tokenizer;
}

const ImageProcessor& processor_of(const Model& model) {
  if (!model.processor)
    throw Error("holds no image processor", model.folder.string(), "add its preprocessor_config.json");
  return *model.processor;
}

Tensor prepare_picture(const ImageProcessor& processor, Bytes bytes, const std::string& name) {
  return prepare(processor, bytes, name).pixel_values.select(0, 0);
}

void feed_pictures(const ImageProcessor& processor, std::span<const PictureInput> inputs, const FeedOptions& options,
                   const std::function<void(const PictureBatch&)>& take) {
  if (options.batch < 1) throw Error("must be at least 1", "--batch");
  const auto size = static_cast<size_t>(options.batch);
  Progress progress("pictures", static_cast<int64_t>(inputs.size()), "pictures");
  for (size_t begin = 0; begin < inputs.size(); begin += size) {
    const auto part = inputs.subspan(begin, std::min(size, inputs.size() - begin));
    const auto prepared = prepare_all(processor, part);
    Batcher batcher(take);
    for (size_t i = 0; i < part.size(); ++i) {
      if (!prepared[i].error) {
        batcher.add(begin + i, prepared[i].picture);
        continue;
      }
      batcher.flush();  // so that what is answered before the mistake does not depend on the batch
      if (!options.bad) throw *prepared[i].error;
      options.bad(begin + i, *prepared[i].error);
    }
    batcher.flush();
    progress.step(static_cast<int64_t>(part.size()));
  }
}

ImageEmbedder::ImageEmbedder(const Model& model) : model_(model), encode_(encoder_of(model_)) { processor_of(model_); }

Tensor ImageEmbedder::embed(const Tensor& pixels) const {
  const torch::NoGradGuard no_gradient;
  return finite(model_, encode_(pixels));
}

TextEmbedder::TextEmbedder(const Model& model)
    : model_(model), encoder_(model_.as<DualEncoder>("turn texts into vectors")) {
  tokenizer_of(model_);
}

TextBatch TextEmbedder::tokenize(std::span<const std::string> texts, bool truncate) const {
  const int64_t context = encoder_.text().context();
  std::vector<std::vector<int64_t>> rows;
  // A tower that reads the last position (SigLIP) was trained on texts filled up to its context, padding unmasked.
  const bool filled = encoder_.options().text_pool == "last" && context > 0;
  BatchOptions cut;
  if (truncate && context > 0) cut.truncation = Truncation{.max_length = context};
  for (const std::string& text : texts) {
    rows.push_back(model_.tokenizer->encode(text, std::nullopt, cut).ids);
    const auto tokens = static_cast<int64_t>(rows.back().size());
    if (tokens == 0) throw Error("gives no tokens", "text '" + shortened(text) + "'");
    if (context > 0 && tokens > context)
      throw Error("is " + std::to_string(tokens) + " tokens long, the model reads " + std::to_string(context),
                  "text '" + shortened(text) + "'", "shorten it, or give --truncate");
  }
  TextBatch batch = pad_texts(
      rows, {.id = model_.tokenizer->special_ids().pad.value_or(0), .shortest = filled ? context : int64_t{1}});
  if (filled) batch.mask = Tensor();
  return batch;
}

Tensor TextEmbedder::embed(std::span<const std::string> texts, const TextEmbedOptions& options) const {
  if (texts.empty()) throw Error("there are no texts", "texts");
  const torch::NoGradGuard no_gradient;
  std::vector<Tensor> blocks;
  const auto size = static_cast<size_t>(std::max<int64_t>(options.batch, 1));
  Progress progress("texts", static_cast<int64_t>(texts.size()), "texts");
  for (size_t begin = 0; begin < texts.size(); begin += size) {
    const auto part = texts.subspan(begin, std::min(size, texts.size() - begin));
    blocks.push_back(finite(model_, encoder_.encode_text(tokenize(part, options.truncate))));
    progress.step(static_cast<int64_t>(part.size()));
  }
  return torch::cat(blocks);
}

}  // namespace tessera

#include "tasks/embed.h"

#include <algorithm>
#include <optional>

#include "core/memory_limit.h"
#include "core/pad_texts.h"
#include "core/parallel.h"
#include "core/progress.h"
#include "encoders/classifier.h"
#include "layers/device.h"
#include "processors/fast_decode.h"
#include "vlm/talker.h"

namespace tessera {
namespace {

constexpr int64_t kLargestDrawing = 1024;

int64_t drawing_size(const ImageProcessorOptions& options) {
  const int64_t wanted =
      std::max({options.height, options.width, options.shortest_edge, options.crop_height, options.crop_width});
  return wanted == 0 ? 0 : std::min(2 * wanted, kLargestDrawing);
}

ImageBatch prepare(const ImageProcessor& processor, Bytes bytes, const std::string& name) {
  DecodeOptions decode;
  decode.svg_height = decode.svg_width = drawing_size(processor.options());
  return processor(decode_for(processor.options(), bytes, name, decode));
}

/// A picture, or why there is none.
struct Prepared {
  ImageBatch picture;
  std::optional<Error> error;
};

std::vector<Prepared> prepare_all(const ImageProcessor& processor, std::span<const PictureInput> inputs) {
  std::vector<Prepared> prepared(inputs.size());
  in_parallel(static_cast<int64_t>(inputs.size()), [&](int64_t at) {
    const auto i = static_cast<size_t>(at);
    try {
      const std::string bytes = read_input(inputs[i]);
      const Bytes view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
      prepared[i].picture = prepare(processor, view, inputs[i].name);
    } catch (const OutOfMemory&) {
      throw;
    } catch (const Error& error) {
      prepared[i].error = error;
    }
  });
  return prepared;
}

/// As many of the first as memory allows. @param size  at most this many; gets smaller where memory is refused
std::vector<Prepared> prepare_what_fits(const ImageProcessor& processor, std::span<const PictureInput> inputs,
                                        size_t& size) {
  while (true) {
    const size_t count = std::min(size, inputs.size());
    try {
      return prepare_all(processor, inputs.first(count));
    } catch (const OutOfMemory&) {
      if (count == 1) throw;
      size = count / 2;
    }
  }
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
  Batcher(const std::function<void(const PictureBatch&)>& take, FittingBatches& fitting)
      : take_(take), fitting_(fitting) {}

  void add(size_t index, const ImageBatch& picture) {
    if (!rows_.empty() && rows_.front().pixel_values.sizes() != picture.pixel_values.sizes()) flush();
    rows_.push_back(picture);
    indices_.push_back(index);
  }
  void flush() {
    fitting_.run(rows_.size(), [this](size_t begin, size_t count) {
      const auto first = static_cast<std::ptrdiff_t>(begin), last = static_cast<std::ptrdiff_t>(begin + count);
      take_(
          {{indices_.begin() + first, indices_.begin() + last}, joined({rows_.begin() + first, rows_.begin() + last})});
    });
    rows_.clear();
    indices_.clear();
  }

 private:
  const std::function<void(const PictureBatch&)>& take_;
  FittingBatches& fitting_;
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
  auto size = static_cast<size_t>(options.batch);
  Progress progress("pictures", static_cast<int64_t>(inputs.size()), "pictures");
  FittingBatches fitting;
  for (size_t begin = 0; begin < inputs.size();) {
    const auto prepared = prepare_what_fits(processor, inputs.subspan(begin), size);
    Batcher batcher(take, fitting);
    for (size_t i = 0; i < prepared.size(); ++i) {
      if (!prepared[i].error) {
        batcher.add(begin + i, prepared[i].picture);
        continue;
      }
      batcher.flush();  // so that what is answered before the mistake does not depend on the batch
      if (!options.bad) throw *prepared[i].error;
      options.bad(begin + i, *prepared[i].error);
    }
    batcher.flush();
    begin += prepared.size();
    progress.step(static_cast<int64_t>(prepared.size()));
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
  FittingBatches fitting;
  Progress progress("texts", static_cast<int64_t>(texts.size()), "texts");
  for (size_t begin = 0; begin < texts.size(); begin += size) {
    const auto part = texts.subspan(begin, std::min(size, texts.size() - begin));
    fitting.run(part.size(), [&](size_t first, size_t count) {
      const TextBatch batch = tokenize(part.subspan(first, count), options.truncate);
      blocks.push_back(finite(model_, encoder_.encode_text(batch)));
      progress.step(static_cast<int64_t>(count));
    });
  }
  return torch::cat(blocks);
}

}  // namespace tessera

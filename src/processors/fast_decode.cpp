#include "processors/fast_decode.h"

#include <atomic>

#include "io/jpeg.h"
#include "io/transform.h"
#include "processors/pipeline.h"

namespace tessera {
namespace {

std::atomic<bool> fast_decoding = false;

}  // namespace

void use_fast_decoding(bool fast) { fast_decoding = fast; }

Image decode_for(const ImageProcessorOptions& processor, Bytes bytes, const std::string& name,
                 const DecodeOptions& options) {
  if (!fast_decoding || sniff_image(bytes) != ImageType::kJpeg) {
    const Image image = decode_image(bytes, name, options);
    return image.channels == 4 ? composite(image, {255, 255, 255}) : image;
  }
  return decode_jpeg_fast(bytes, name, options, [&](PictureSize size) {
    const auto sides = detail::needed_size(size.height, size.width, processor);
    return PictureSize{sides.height, sides.width};
  });
}

}  // namespace tessera

#include "processors/fast_decode.h"

#include <atomic>

#include "io/jpeg.h"
#include "processors/pipeline.h"

namespace tessera {
namespace {

std::atomic<bool> fast_decoding = false;

}  // namespace

void use_fast_decoding(bool fast) { fast_decoding = fast; }

Image decode_for(const ImageProcessorOptions& processor, Bytes bytes, const std::string& name,
                 const DecodeOptions& options) {
  if (!fast_decoding || sniff_image(bytes) != ImageType::kJpeg) return decode_image(bytes, name, options);
  return decode_jpeg_fast(bytes, name, options, [&](PictureSize size) {
    const auto sides = detail::needed_size(size.height, size.width, processor);
    return PictureSize{sides.height, sides.width};
  });
}

}  // namespace tessera

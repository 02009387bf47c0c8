#include "io/webp.h"

#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "io/exif.h"

namespace tessera {
namespace {

using Demuxer = std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)>;
using Animation = std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)>;

[[noreturn]] void fail(const std::string& name) {
  throw Error("the WebP is damaged or not complete", name, "get the file again");
}

int orientation_of(const WebPDemuxer* demuxer) {
  WebPChunkIterator chunk{};
  int orientation = 1;
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
    orientation = exif_orientation({chunk.chunk.bytes, chunk.chunk.size});
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

Image decode_still(Bytes bytes, const WebPBitstreamFeatures& features, const std::string& name) {
  Image image(features.height, features.width, features.has_alpha ? 4 : 3);
  const int stride = static_cast<int>(image.width * image.channels);
  const auto decode = features.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (decode(bytes.data(), bytes.size(), image.pixels.data(), image.pixels.size(), stride) == nullptr) fail(name);
  return image;
}

Image decode_first_frame(const WebPData& data, int64_t height, int64_t width, const std::string& name) {
  WebPAnimDecoderOptions settings;
  if (!WebPAnimDecoderOptionsInit(&settings)) fail(name);
  settings.color_mode = MODE_RGBA;
  const Animation animation(WebPAnimDecoderNew(&data, &settings), WebPAnimDecoderDelete);
  uint8_t* canvas = nullptr;
  int milliseconds = 0;
  if (animation == nullptr || !WebPAnimDecoderGetNext(animation.get(), &canvas, &milliseconds)) fail(name);
  Image image(height, width, 4);
  std::copy(canvas, canvas + image.pixels.size(), image.pixels.begin());
  return image;
}

}  // namespace

Image decode_webp(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK) fail(name);
  detail::check_size(features.height, features.width, name, options);
  const WebPData data{bytes.data(), bytes.size()};
  const Demuxer demuxer(WebPDemux(&data), WebPDemuxDelete);  // refuses a file that is shorter than its header says
  if (demuxer == nullptr) fail(name);
  const int64_t height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  const int64_t width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
  detail::check_size(height, width, name, options);
  Image image =
      features.has_animation ? decode_first_frame(data, height, width, name) : decode_still(bytes, features, name);
  return options.orient ? oriented(std::move(image), orientation_of(demuxer.get())) : image;
}

}  // namespace tessera

// Feeds any bytes to the picture decoders: they may refuse them with an Error, and nothing else.
#include <cstdlib>

#include "core/error.h"
#include "io/image.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tessera::DecodeOptions options;
  options.max_pixels = 1 << 18;  // so that a run is fast; the limit itself is under test as well
  try {
    for (const tessera::Image& image : tessera::decode_frames({data, size}, "fuzz", options)) {
      const auto bytes = static_cast<size_t>(image.height * image.width * image.channels);
      if (image.empty() || image.pixels.size() != bytes) std::abort();
    }
  } catch (const tessera::Error&) {
  }
  return 0;
}

// Feeds any bytes to the picture decoders: they may refuse them with an Error, and nothing else.
//
//   clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address -Isrc $(pkg-config --cflags librsvg-2.0) fuzz/fuzz_image.cpp
//     src/io/{image,exif,jpeg,png,webp,svg,gif}.cpp src/core/error.cpp
//     -ljpeg -lpng -lwebp -lwebpdemux -lgif $(pkg-config --libs librsvg-2.0) -o fuzz_image
//   ./fuzz_image -max_len=65536 corpus tests/data
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

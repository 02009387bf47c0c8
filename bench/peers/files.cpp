#include <cmath>
#include <cstdio>
#include <filesystem>

// libjpeg needs the header before it.
#include <jpeglib.h>

#include "../bench.h"
#include "core/files.h"
#include "encoders/classifier.h"
#include "io/image.h"
#include "processors/image_processor.h"
#include "rows.h"

namespace tessera::bench {
namespace {

constexpr int kHeight = 1080, kWidth = 1920, kQuality = 90;

/// Shapes of all sizes and some noise, so that the file has about the bytes that a photograph has.
Image scene() {
  Image image(kHeight, kWidth, 3);
  uint32_t noise = 1;
  for (int64_t y = 0; y < kHeight; ++y)
    for (int64_t x = 0; x < kWidth; ++x)
      for (int64_t c = 0; c < 3; ++c) {
        const auto at = [&](double wave) {
          return std::sin((static_cast<double>(x) + 2.0 * static_cast<double>(y * c)) / wave);
        };
        noise = noise * 1664525 + 1013904223;
        const double value = 128 + 50 * at(211) + 40 * at(37) + 10 * at(5) + static_cast<double>(noise >> 28);
        image.at(y, x, c) = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
      }
  return image;
}

std::string jpeg_of(Image image) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);  // it ends the program; only memory can fail here
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = kWidth, info.image_height = kHeight, info.input_components = 3, info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, kQuality, TRUE);
  jpeg_start_compress(&info, TRUE);
  for (int64_t y = 0; y < kHeight; ++y) {
    JSAMPROW row = image.row(y);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string file(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  return file;
}

/// timm's transform for ViT-B/16: shorter side 224 / 0.9, bicubic, the middle, to -1 to 1.
ImageProcessor vit_processor(int64_t side) {
  ImageProcessorOptions options;
  options.size_rule = SizeRule::kShortestEdge;
  options.shortest_edge = side * 10 / 9;
  options.arithmetic = Arithmetic::kPil;
  options.crop = true;
  options.crop_height = options.crop_width = side;
  return ImageProcessor(options);
}

}  // namespace

Row file_row(const std::shared_ptr<Model>& model, const std::string& folder) {
  const std::filesystem::path file = std::filesystem::path(folder) / "scene.jpg";
  if (!std::filesystem::exists(file)) write_file(file, jpeg_of(scene()));
  const int64_t side = model->config.at("model_args").at("img_size");
  const auto processor = std::make_shared<ImageProcessor>(vit_processor(side));
  const auto run = [=] {
    const ImageBatch picture = (*processor)(read_image(file.string()));
    return model->as<ImageClassifier>("bench-peers").forward(picture.pixel_values);
  };
  return {[run] { return milliseconds(run); }, run};
}

}  // namespace tessera::bench

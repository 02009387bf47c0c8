#include "image_samples.h"

#include <gif_lib.h>
#include <png.h>
#include <webp/encode.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <jpeglib.h>

namespace tessera::testing {
namespace {

void little(ByteVector& out, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void append(ByteVector& out, const ByteVector& more) { out.insert(out.end(), more.begin(), more.end()); }

ByteVector chunk(const char* name, const ByteVector& payload) {
  ByteVector out(name, name + 4);
  little(out, static_cast<uint32_t>(payload.size()), 4);
  append(out, payload);
  if (payload.size() % 2 != 0) out.push_back(0);
  return out;
}

ByteVector riff(const ByteVector& chunks) {
  ByteVector inner{'W', 'E', 'B', 'P'};
  append(inner, chunks);
  return chunk("RIFF", inner);
}

// The chunks of a simple WebP file, without its RIFF header.
ByteVector payload_of(const Image& image) {
  ByteVector file = sample_webp(image);
  return {file.begin() + 12, file.end()};
}

ByteVector extended_header(uint8_t flags, int64_t height, int64_t width) {
  ByteVector header{flags, 0, 0, 0};
  little(header, static_cast<uint32_t>(width - 1), 3);
  little(header, static_cast<uint32_t>(height - 1), 3);
  return chunk("VP8X", header);
}

void must(bool holds) {
  if (!holds) std::abort();
}

void write_png_bytes(png_structp png, png_bytep data, size_t size) {
  auto& out = *static_cast<ByteVector*>(png_get_io_ptr(png));
  out.insert(out.end(), data, data + size);
}

void set_palette(png_structp png, png_infop info, int entries) {
  std::vector<png_color> palette;
  for (int i = 0; i < entries; ++i) {
    palette.push_back({static_cast<png_byte>(i), static_cast<png_byte>(255 - i), static_cast<png_byte>(i / 2)});
  }
  png_set_PLTE(png, info, palette.data(), entries);
}

void set_transparency(png_structp png, png_infop info, const Image& image, const PngForm& form) {
  const png_byte alpha = 0;
  png_color_16 colour{};
  colour.gray = image.pixels[0];
  if (image.channels == 3) colour.red = image.pixels[0], colour.green = image.pixels[1], colour.blue = image.pixels[2];
  if (form.palette) {
    png_set_tRNS(png, info, &alpha, 1, nullptr);
  } else {
    png_set_tRNS(png, info, nullptr, 0, &colour);
  }
}

ByteVector png_rows(const Image& image, const PngForm& form) {
  ByteVector rows;
  for (const uint8_t value : image.pixels) {
    rows.push_back(value);
    if (form.depth == 16) rows.push_back(0x7F);
  }
  return rows;
}

int colour_type(const Image& image, const PngForm& form) {
  if (form.palette) return PNG_COLOR_TYPE_PALETTE;
  constexpr int kTypes[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
  return kTypes[image.channels - 1];
}

int write_gif_bytes(GifFileType* gif, const GifByteType* data, int size) {
  auto& out = *static_cast<ByteVector*>(gif->UserData);
  out.insert(out.end(), data, data + size);
  return size;
}

void put_gif_frame(GifFileType* gif, const GifFrame& frame) {
  const GraphicsControlBlock control{frame.disposal, false, 10, frame.transparent};
  GifByteType block[4];
  EGifGCBToExtension(&control, block);
  must(EGifPutExtension(gif, GRAPHICS_EXT_FUNC_CODE, 4, block) == GIF_OK);
  const int height = static_cast<int>(frame.indices.height), width = static_cast<int>(frame.indices.width);
  must(EGifPutImageDesc(gif, static_cast<int>(frame.left), static_cast<int>(frame.top), width, height, frame.interlaced,
                        nullptr) == GIF_OK);
  Image indices = frame.indices;
  constexpr int kStart[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};
  for (int pass = 0; pass < (frame.interlaced ? 4 : 1); ++pass) {
    for (int y = frame.interlaced ? kStart[pass] : 0; y < height; y += frame.interlaced ? kStep[pass] : 1) {
      must(EGifPutLine(gif, indices.row(y), width) == GIF_OK);
    }
  }
}

}  // namespace

Image sample_picture(int64_t height, int64_t width, int64_t channels) {
  Image image(height, width, channels);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < channels; ++c) {
        const double wave = std::sin(0.21 * static_cast<double>(x) + static_cast<double>(c)) *
                            std::cos(0.13 * static_cast<double>(y) - 0.4 * static_cast<double>(c));
        image.at(y, x, c) =
            static_cast<uint8_t>(127.5 + 90 * wave + 30 * static_cast<double>(x) / static_cast<double>(width));
      }
    }
  }
  return image;
}

ByteVector exif_block(int orientation, bool big_endian) {
  const auto value = static_cast<uint8_t>(orientation);
  if (big_endian) {
    return {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, value, 0, 0, 0, 0, 0, 0};
  }
  return {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, value, 0, 0, 0, 0, 0, 0, 0};
}

ByteVector sample_jpeg(const Image& image, const JpegForm& form) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = static_cast<int>(image.channels);
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : image.channels == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  if (form.ycck) jpeg_set_colorspace(&info, JCS_YCCK);
  jpeg_set_quality(&info, form.quality, TRUE);
  if (form.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (form.orientation != 0) {
    ByteVector exif{'E', 'x', 'i', 'f', 0, 0};
    append(exif, exif_block(form.orientation));
    jpeg_write_marker(&info, JPEG_APP0 + 1, exif.data(), static_cast<unsigned>(exif.size()));
  }
  Image rows = image;
  for (int64_t y = 0; y < image.height; ++y) {
    JSAMPROW row = rows.row(y);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  const ByteVector bytes(buffer, buffer + size);
  std::free(buffer);
  return bytes;
}

ByteVector sample_png(const Image& image, const PngForm& form) {
  ByteVector out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &out, write_png_bytes, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), form.depth,
               colour_type(image, form), form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (form.palette) set_palette(png, info, 1 << form.depth);
  if (form.transparency) set_transparency(png, info, image, form);
  ByteVector exif = exif_block(form.orientation, true);
  if (form.orientation != 0) png_set_eXIf_1(png, info, static_cast<png_uint_32>(exif.size()), exif.data());
  png_write_info(png, info);
  if (form.depth < 8) png_set_packing(png);  // one sample a byte comes in
  ByteVector bytes = png_rows(image, form);
  std::vector<png_bytep> rows;
  for (int64_t y = 0; y < image.height; ++y) {
    rows.push_back(bytes.data() + static_cast<size_t>(y) * (bytes.size() / static_cast<size_t>(image.height)));
  }
  png_write_image(png, rows.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return out;
}

ByteVector sample_webp(const Image& image, bool lossless) {
  const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  const int stride = width * static_cast<int>(image.channels);
  uint8_t* out = nullptr;
  size_t size = 0;
  if (lossless) {
    size = image.channels == 4 ? WebPEncodeLosslessRGBA(image.pixels.data(), width, height, stride, &out)
                               : WebPEncodeLosslessRGB(image.pixels.data(), width, height, stride, &out);
  } else {
    size = image.channels == 4 ? WebPEncodeRGBA(image.pixels.data(), width, height, stride, 90, &out)
                               : WebPEncodeRGB(image.pixels.data(), width, height, stride, 90, &out);
  }
  const ByteVector bytes(out, out + size);
  WebPFree(out);
  return bytes;
}

ByteVector sample_webp_with_exif(const Image& image, int orientation) {
  ByteVector chunks = extended_header(0x08, image.height, image.width);
  append(chunks, payload_of(image));
  append(chunks, chunk("EXIF", exif_block(orientation)));
  return riff(chunks);
}

ByteVector sample_webp_animation(const std::vector<Image>& frames) {
  ByteVector chunks = extended_header(0x12, frames[0].height, frames[0].width);
  append(chunks, chunk("ANIM", {0, 0, 0, 0, 0, 0}));
  for (const Image& frame : frames) {
    ByteVector content;
    little(content, 0, 6 / 2);  // x and y, three bytes each
    little(content, 0, 6 / 2);
    little(content, static_cast<uint32_t>(frame.width - 1), 3);
    little(content, static_cast<uint32_t>(frame.height - 1), 3);
    little(content, 100, 3);
    content.push_back(2);  // replace, do not blend
    append(content, payload_of(frame));
    append(chunks, chunk("ANMF", content));
  }
  return riff(chunks);
}

ByteVector sample_gif(int64_t height, int64_t width, const std::vector<GifFrame>& frames) {
  ByteVector out;
  int error = 0;
  GifFileType* gif = EGifOpen(&out, write_gif_bytes, &error);
  must(gif != nullptr);
  EGifSetGifVersion(gif, true);
  ColorMapObject* colours = GifMakeMapObject(256, nullptr);
  for (int i = 0; i < 256; ++i) {
    colours->Colors[i] = {static_cast<GifByteType>(i), static_cast<GifByteType>(255 - i),
                          static_cast<GifByteType>(i / 2)};
  }
  must(EGifPutScreenDesc(gif, static_cast<int>(width), static_cast<int>(height), 8, 0, colours) == GIF_OK);
  GifFreeMapObject(colours);
  for (const GifFrame& frame : frames) put_gif_frame(gif, frame);
  must(EGifCloseFile(gif, &error) == GIF_OK);
  return out;
}

std::vector<std::pair<std::string, ByteVector>> all_samples() {
  const std::string svg =
      "<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg' width='12' height='8' viewBox='0 0 12 8'>"
      "<rect x='2' y='1' width='6' height='5' fill='#c04080' opacity='0.5'/></svg>";
  const Image grey = sample_picture(7, 9, 1), rgb = sample_picture(9, 7, 3), rgba = sample_picture(6, 8, 4);
  return {
      {"jpeg", sample_jpeg(rgb)},
      {"jpeg-grey", sample_jpeg(grey)},
      {"jpeg-progressive", sample_jpeg(rgb, {.progressive = true})},
      {"jpeg-cmyk", sample_jpeg(rgba)},
      {"jpeg-turned", sample_jpeg(rgb, {.orientation = 6})},
      {"png", sample_png(rgb)},
      {"png-16", sample_png(rgba, {.depth = 16, .interlaced = true, .orientation = 5})},
      {"png-palette", sample_png(grey, {.palette = true, .transparency = true})},
      {"webp", sample_webp(rgb)},
      {"webp-lossy", sample_webp(rgba, false)},
      {"webp-exif", sample_webp_with_exif(rgba, 3)},
      {"webp-animation", sample_webp_animation({rgba, rgba})},
      {"gif", sample_gif(7, 9, {{grey}})},
      {"gif-animation", sample_gif(9, 11, {{grey, 1, 1, 40, 2, true}, {grey, 0, 0, -1, 3}})},
      {"svg", ByteVector(svg.begin(), svg.end())},
  };
}

}  // namespace tessera::testing

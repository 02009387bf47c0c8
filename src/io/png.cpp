#include "io/png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "core/error.h"
#include "io/exif.h"

namespace tessera {
namespace {

// What libpng's callbacks reach. As with JPEG, errors jump to `guarded`, and no object with a destructor lives between.
struct Session {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Bytes bytes;
  size_t position = 0;
  std::vector<uint8_t>* written = nullptr;
  bool out_of_memory = false;
  std::jmp_buf failed;
  char message[128] = {};

  template <class Calls>
  bool guarded(Calls&& calls) {
    if (setjmp(failed)) return false;
    calls();
    return true;
  }
};

struct Reader : Session {
  explicit Reader(Bytes data);
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

struct Writer : Session {
  explicit Writer(std::vector<uint8_t>& to);
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto& session = *static_cast<Session*>(png_get_error_ptr(png));
  std::strncpy(session.message, message, sizeof session.message - 1);
  std::longjmp(session.failed, 1);
}

void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep out, size_t count) {
  auto& session = *static_cast<Session*>(png_get_io_ptr(png));
  if (count > session.bytes.size() - session.position) png_error(png, "the file ends early");
  std::memcpy(out, session.bytes.data() + session.position, count);
  session.position += count;
}

// The vector may throw, and must not throw through libpng.
void write_bytes(png_structp png, png_bytep data, size_t count) {
  auto& session = *static_cast<Session*>(png_get_io_ptr(png));
  try {
    session.written->insert(session.written->end(), data, data + count);
  } catch (const std::bad_alloc&) {
    session.out_of_memory = true;
  }
  if (session.out_of_memory) png_error(png, "out of memory");
}

void flush(png_structp) {}

Reader::Reader(Bytes data) {
  bytes = data;
  guarded([&] {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, static_cast<Session*>(this), on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
  });
}

Writer::Writer(std::vector<uint8_t>& to) {
  written = &to;
  guarded([&] {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, static_cast<Session*>(this), on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
  });
}

void open(Reader& reader) {
  constexpr png_uint_32 kAnySide = 0x7FFFFFFF;  // our own limit is on pixels, with a message that says so
  constexpr size_t kChunkBytes = size_t{8} << 20;
  constexpr png_uint_32 kChunks = 1000;
  png_set_read_fn(reader.png, static_cast<Session*>(&reader), read_bytes);
  png_set_user_limits(reader.png, kAnySide, kAnySide);
  png_set_chunk_malloc_max(reader.png, kChunkBytes);  // text and profiles are compressed, and could be bombs
  png_set_chunk_cache_max(reader.png, kChunks);
  png_read_info(reader.png, reader.info);
}

// After this, rows are 8-bit grey, RGB or RGBA.
void set_transforms(Reader& reader) {
  png_set_strip_16(reader.png);
  png_set_expand(reader.png);  // palette to RGB, small depths to 8 bits, transparent colours to alpha
  const bool alpha = (png_get_color_type(reader.png, reader.info) & PNG_COLOR_MASK_ALPHA) != 0 ||
                     png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) != 0;
  if (alpha) png_set_gray_to_rgb(reader.png);
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
}

int orientation_of(Reader& reader) {
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  const bool present =
      png_get_valid(reader.png, reader.info, PNG_INFO_eXIf) && png_get_eXIf_1(reader.png, reader.info, &size, &exif);
  return present ? exif_orientation({exif, size}) : 1;
}

[[noreturn]] void fail(const Session& session, const std::string& name) {
  throw Error(std::string("the PNG is damaged or not complete: ") + session.message, name, "get the file again");
}

}  // namespace

Image decode_png(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  Reader reader(bytes);
  if (reader.info == nullptr || !reader.guarded([&] { open(reader); })) fail(reader, name);
  const int64_t height = png_get_image_height(reader.png, reader.info);
  const int64_t width = png_get_image_width(reader.png, reader.info);
  detail::check_size(height, width, name, options);
  if (!reader.guarded([&] { set_transforms(reader); })) fail(reader, name);

  Image image(height, width, png_get_channels(reader.png, reader.info));
  std::vector<png_bytep> rows(static_cast<size_t>(height));
  for (int64_t y = 0; y < height; ++y) rows[static_cast<size_t>(y)] = image.row(y);
  const bool decoded = reader.guarded([&] {
    png_read_image(reader.png, rows.data());
    png_read_end(reader.png, reader.info);
  });
  if (!decoded) fail(reader, name);
  return options.orient ? oriented(std::move(image), orientation_of(reader)) : image;
}

std::vector<uint8_t> encode_png(const Image& image) {
  const bool known = image.channels == 1 || image.channels == 3 || image.channels == 4;
  if (image.empty() || !known) throw Error("only grey, RGB and RGBA pictures can be written", "encode_png");
  std::vector<uint8_t> bytes;
  Writer writer(bytes);
  const int colour = image.channels == 1   ? PNG_COLOR_TYPE_GRAY
                     : image.channels == 3 ? PNG_COLOR_TYPE_RGB
                                           : PNG_COLOR_TYPE_RGBA;
  const bool done = writer.info != nullptr && writer.guarded([&] {
    png_set_write_fn(writer.png, static_cast<Session*>(&writer), write_bytes, flush);
    png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height),
                 8, colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(writer.png, writer.info);
    for (int64_t y = 0; y < image.height; ++y) png_write_row(writer.png, image.row(y));
    png_write_end(writer.png, nullptr);
  });
  if (!done) throw Error(std::string("the PNG cannot be written: ") + writer.message, "encode_png");
  return bytes;
}

}  // namespace tessera

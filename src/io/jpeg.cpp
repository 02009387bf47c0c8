#include "io/jpeg.h"

#include <csetjmp>
#include <cstdio>

// Each header needs the one before it.
#include <jpeglib.h>

#include <jerror.h>

#include "core/error.h"
#include "io/exif.h"

namespace tessera {
namespace {

// Progressive files may hold thousands of scans that each cost a pass over the whole picture.
constexpr int kMaxScans = 500;

// Everything that libjpeg's callbacks reach. libjpeg reports errors by calling back, and its C frames cannot be thrown
// through, so the callbacks jump to `Decoder::guarded`. No object with a destructor lives between the two.
struct Decoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf failed;
  char message[JMSG_LENGTH_MAX] = {};
  bool ended_early = false;

  explicit Decoder(Bytes bytes);
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // Runs a function of libjpeg calls; false when one failed, with `message` set. Every call but the destruction has to
  // be made in here: a jump to a frame that has returned would be undefined.
  template <class Calls>
  bool guarded(Calls&& calls) {
    if (setjmp(failed)) return false;
    calls();
    return true;
  }
};

Decoder& decoder_of(j_common_ptr info) { return *static_cast<Decoder*>(info->client_data); }

[[noreturn]] void on_error(j_common_ptr info) {
  Decoder& decoder = decoder_of(info);
  info->err->format_message(info, decoder.message);
  std::longjmp(decoder.failed, 1);
}

// libjpeg goes on after damaged data and fills with grey; a picture that is partly made up is an error here.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
      on_error(info);
    default:
      ++info->err->num_warnings;
  }
}

void on_progress(j_common_ptr info) {
  Decoder& decoder = decoder_of(info);
  if (decoder.info.input_scan_number <= kMaxScans) return;
  std::snprintf(decoder.message, sizeof decoder.message, "more than %d scans", kMaxScans);
  std::longjmp(decoder.failed, 1);
}

void nothing(j_decompress_ptr) {}

// At the end of the bytes: an end marker that is not there. Where picture data is missing before it, libjpeg notices.
boolean fill_with_end(j_decompress_ptr info) {
  static const JOCTET kEnd[] = {0xFF, JPEG_EOI};
  decoder_of(reinterpret_cast<j_common_ptr>(info)).ended_early = true;
  info->src->next_input_byte = kEnd;
  info->src->bytes_in_buffer = sizeof kEnd;
  return TRUE;
}

void skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  jpeg_source_mgr& source = *info->src;
  if (static_cast<size_t>(count) > source.bytes_in_buffer) {
    fill_with_end(info);
    return;
  }
  source.next_input_byte += count;
  source.bytes_in_buffer -= static_cast<size_t>(count);
}

Decoder::Decoder(Bytes bytes) {
  info.err = jpeg_std_error(&errors);
  errors.error_exit = on_error;
  errors.emit_message = on_message;
  info.client_data = this;  // jpeg_create_decompress keeps err and client_data, and can itself fail
  if (!guarded([&] { jpeg_create_decompress(&info); })) return;
  source.init_source = nothing;
  source.fill_input_buffer = fill_with_end;
  source.skip_input_data = skip;
  source.resync_to_restart = jpeg_resync_to_restart;
  source.term_source = nothing;
  source.next_input_byte = bytes.data();
  source.bytes_in_buffer = bytes.size();
  info.src = &source;
  progress.progress_monitor = on_progress;
  info.progress = &progress;
}

int orientation_of(const jpeg_decompress_struct& info) {
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const Bytes data(marker->data, marker->data_length);
    if (data.size() > 6 && data[0] == 'E' && data[1] == 'x') return exif_orientation(data);
  }
  return 1;
}

J_COLOR_SPACE output_space(const jpeg_decompress_struct& info) {
  if (info.num_components == 1) return JCS_GRAYSCALE;
  return info.num_components == 4 ? JCS_CMYK : JCS_RGB;
}

// Rows of Adobe's CMYK, which is stored inverted, to RGB: PIL's formula, with its rounded division by 255.
void cmyk_to_rgb(const uint8_t* cmyk, uint8_t* rgb, int64_t width) {
  for (int64_t x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    const int light = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - cmyk[c]) * light + 128;
      rgb[c] = static_cast<uint8_t>(light - ((product + (product >> 8)) >> 8));
    }
  }
}

[[noreturn]] void fail(const Decoder& decoder, const std::string& name) {
  throw Error(std::string("the JPEG is damaged or not complete: ") + decoder.message, name, "get the file again");
}

void read_rows(Decoder& decoder, Image& image, uint8_t* cmyk_row) {
  while (decoder.info.output_scanline < decoder.info.output_height) {
    uint8_t* row = image.row(decoder.info.output_scanline);
    JSAMPROW target = cmyk_row != nullptr ? cmyk_row : row;
    jpeg_read_scanlines(&decoder.info, &target, 1);
    if (cmyk_row != nullptr) cmyk_to_rgb(cmyk_row, row, image.width);
  }
  jpeg_finish_decompress(&decoder.info);
}

using Needed = std::function<PictureSize(PictureSize)>;

/// The least of 1/8, 1/4, 1/2 and 1 that leaves the picture the size that is needed. The other eighths have no kernels.
unsigned eighths(PictureSize have, PictureSize needed) {
  for (const unsigned scale : {1U, 2U, 4U}) {
    const auto left = [scale](int64_t side) { return (side * scale + 7) / 8; };
    if (left(have.height) >= needed.height && left(have.width) >= needed.width) return scale;
  }
  return 8;
}

/// Has the picture decoded fast; between its header and its rows.
void make_fast(jpeg_decompress_struct& info, const PictureSize& needed, bool turned) {
  const PictureSize have{info.image_height, info.image_width};
  info.scale_num = eighths(have, turned ? PictureSize{needed.width, needed.height} : needed);
  info.scale_denom = 8;
  info.dct_method = JDCT_IFAST;
  info.do_fancy_upsampling = FALSE;
}

/// @param needed  empty: all of it, exactly
Image decode(Bytes bytes, const std::string& name, const DecodeOptions& options, const Needed& needed) {
  Decoder decoder(bytes);
  if (decoder.info.src == nullptr) fail(decoder, name);
  bool refined = false;  // later scans refine the picture, and nothing tells whether one was still to come
  const bool opened = decoder.guarded([&] {
    jpeg_save_markers(&decoder.info, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&decoder.info, TRUE);
    refined = jpeg_has_multiple_scans(&decoder.info) != 0;
  });
  if (!opened) fail(decoder, name);
  detail::check_size(decoder.info.image_height, decoder.info.image_width, name, options);
  const int orientation = options.orient ? orientation_of(decoder.info) : 1;  // finishing forgets the markers

  decoder.info.out_color_space = output_space(decoder.info);
  const bool cmyk = decoder.info.out_color_space == JCS_CMYK;
  if (needed) {
    const bool turned = orientation > 4;  // by a quarter
    const int64_t height = decoder.info.image_height, width = decoder.info.image_width;
    make_fast(decoder.info, needed(turned ? PictureSize{width, height} : PictureSize{height, width}), turned);
  }
  if (!decoder.guarded([&] { jpeg_calc_output_dimensions(&decoder.info); })) fail(decoder, name);
  Image image(decoder.info.output_height, decoder.info.output_width,
              decoder.info.out_color_space == JCS_GRAYSCALE ? 1 : 3);
  std::vector<uint8_t> cmyk_row(cmyk ? static_cast<size_t>(image.width) * 4 : 0);
  const bool decoded = decoder.guarded([&] {
    jpeg_start_decompress(&decoder.info);
    read_rows(decoder, image, cmyk ? cmyk_row.data() : nullptr);
  });
  if (!decoded) fail(decoder, name);
  if (decoder.ended_early && refined) {
    throw Error("the JPEG ends before its last scan", name, "get the file again");
  }
  return oriented(std::move(image), orientation);
}

}  // namespace

Image decode_jpeg(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  return decode(bytes, name, options, {});
}

Image decode_jpeg_fast(Bytes bytes, const std::string& name, const DecodeOptions& options, const Needed& needed) {
  return decode(bytes, name, options, needed);
}

}  // namespace tessera

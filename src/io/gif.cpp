#include "io/gif.h"

#include <gif_lib.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace tessera {
namespace {

struct Input {
  Bytes bytes;
  size_t position = 0;
};

int read_bytes(GifFileType* gif, GifByteType* out, int count) {
  auto& input = *static_cast<Input*>(gif->UserData);
  const size_t size = std::min(static_cast<size_t>(count), input.bytes.size() - input.position);
  std::memcpy(out, input.bytes.data() + input.position, size);
  input.position += size;
  return static_cast<int>(size);
}

/// One pass over a GIF. DGifSlurp would read all frames, and allocate each before a limit could be checked.
class GifReader {
 public:
  GifReader(Bytes bytes, const std::string& name, const DecodeOptions& options)
      : input_{bytes}, name_(name), options_(options) {
    int code = 0;
    gif_ = DGifOpen(&input_, read_bytes, &code);
    if (gif_ == nullptr) fail(code);
  }
  ~GifReader() { DGifCloseFile(gif_, nullptr); }
  GifReader(const GifReader&) = delete;
  GifReader& operator=(const GifReader&) = delete;

  std::vector<Image> frames(int64_t max_frames) {
    std::vector<Image> frames;
    GifRecordType record = UNDEFINED_RECORD_TYPE;
    while (max_frames == 0 || static_cast<int64_t>(frames.size()) < max_frames) {
      check(DGifGetRecordType(gif_, &record));
      if (record == TERMINATE_RECORD_TYPE) break;
      if (record == EXTENSION_RECORD_TYPE) read_extension();
      if (record == IMAGE_DESC_RECORD_TYPE) frames.push_back(read_frame(static_cast<int64_t>(frames.size())));
    }
    if (frames.empty()) throw Error("the GIF has no picture", name_, "give a GIF with at least one frame");
    return frames;
  }

 private:
  [[noreturn]] void fail(int code) const {
    const char* reason = GifErrorString(code);
    throw Error(std::string("the GIF is damaged or not complete: ") + (reason != nullptr ? reason : "it ends early"),
                name_, "get the file again");
  }
  void check(int status) const {
    if (status == GIF_ERROR) fail(gif_->Error);
  }

  void read_extension() {
    int code = 0;
    GifByteType* block = nullptr;
    check(DGifGetExtension(gif_, &code, &block));
    while (block != nullptr) {
      // A block is its length, then so many bytes.
      if (code == GRAPHICS_EXT_FUNC_CODE) DGifExtensionToGCB(block[0], block + 1, &control_);
      check(DGifGetExtensionNext(gif_, &block));
    }
  }

  Image read_frame(int64_t index) {
    check(DGifGetImageDesc(gif_));
    const GifImageDesc& place = gif_->Image;
    if (canvas_.empty()) make_canvas(place);
    detail::check_size(place.Height, place.Width, name_, options_);
    detail::check_size(canvas_.height * (index + 1), canvas_.width, name_, options_);
    const Image before = control_.DisposalMode == DISPOSE_PREVIOUS ? canvas_ : Image();
    draw(place);
    Image shown = without_needless_alpha();
    dispose(place, before);
    control_ = {DISPOSAL_UNSPECIFIED, false, 0, NO_TRANSPARENT_COLOR};
    return shown;
  }

  void make_canvas(const GifImageDesc& first) {
    // Some encoders leave the canvas at 0 x 0 and mean the first frame.
    const bool stated = gif_->SWidth > 0 && gif_->SHeight > 0;
    const int64_t height = stated ? gif_->SHeight : first.Top + first.Height;
    const int64_t width = stated ? gif_->SWidth : first.Left + first.Width;
    detail::check_size(height, width, name_, options_);
    canvas_ = Image(height, width, 4);
  }

  void draw(const GifImageDesc& place) {
    const ColorMapObject* colours = place.ColorMap != nullptr ? place.ColorMap : gif_->SColorMap;
    if (colours == nullptr) throw Error("the GIF has no colour table", name_, "get the file again");
    std::vector<GifPixelType> line(static_cast<size_t>(place.Width));
    constexpr int kStart[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};
    for (int pass = 0; pass < (place.Interlace ? 4 : 1); ++pass) {
      for (int y = place.Interlace ? kStart[pass] : 0; y < place.Height; y += place.Interlace ? kStep[pass] : 1) {
        check(DGifGetLine(gif_, line.data(), place.Width));
        draw_line(line, place.Top + y, place.Left, *colours);
      }
    }
  }

  void draw_line(const std::vector<GifPixelType>& line, int64_t y, int64_t left, const ColorMapObject& colours) {
    if (y >= canvas_.height) return;
    const int64_t count = std::min<int64_t>(static_cast<int64_t>(line.size()), canvas_.width - left);
    for (int64_t x = 0; x < count; ++x) {
      const int index = line[static_cast<size_t>(x)];
      if (index == control_.TransparentColor) continue;
      if (index >= colours.ColorCount)
        throw Error("a GIF pixel has no colour in the table", name_, "get the file again");
      const GifColorType& colour = colours.Colors[index];
      uint8_t* pixel = canvas_.row(y) + (left + x) * 4;
      pixel[0] = colour.Red, pixel[1] = colour.Green, pixel[2] = colour.Blue, pixel[3] = 255;
    }
  }

  Image without_needless_alpha() const {
    for (size_t i = 3; i < canvas_.pixels.size(); i += 4) {
      if (canvas_.pixels[i] != 255) return canvas_;
    }
    Image rgb(canvas_.height, canvas_.width, 3);
    for (size_t from = 0, to = 0; from < canvas_.pixels.size(); from += 4, to += 3) {
      std::memcpy(&rgb.pixels[to], &canvas_.pixels[from], 3);
    }
    return rgb;
  }

  void dispose(const GifImageDesc& place, const Image& before) {
    if (control_.DisposalMode == DISPOSE_PREVIOUS) canvas_ = before;
    if (control_.DisposalMode != DISPOSE_BACKGROUND) return;
    const int64_t right = std::min<int64_t>(canvas_.width, place.Left + place.Width);
    for (int64_t y = place.Top; y < std::min<int64_t>(canvas_.height, place.Top + place.Height); ++y) {
      if (right > place.Left) std::fill(canvas_.row(y) + 4 * place.Left, canvas_.row(y) + 4 * right, uint8_t{0});
    }
  }

  Input input_;
  const std::string& name_;
  const DecodeOptions& options_;
  GifFileType* gif_ = nullptr;
  GraphicsControlBlock control_{DISPOSAL_UNSPECIFIED, false, 0, NO_TRANSPARENT_COLOR};
  Image canvas_;
};

}  // namespace

std::vector<Image> decode_gif(Bytes bytes, const std::string& name, const DecodeOptions& options, int64_t max_frames) {
  return GifReader(bytes, name, options).frames(max_frames);
}

}  // namespace tessera

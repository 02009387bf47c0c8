#include "io/svg.h"

#include <librsvg/rsvg.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/error.h"

namespace tessera {
namespace {

constexpr size_t kMaxBytes = size_t{32} << 20;
constexpr double kDefaultSide = 512;  // for a drawing that states neither a size nor a view box

struct Release {
  void operator()(gpointer object) const { g_object_unref(object); }
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};
using Handle = std::unique_ptr<RsvgHandle, Release>;
using Stream = std::unique_ptr<GInputStream, Release>;
using Surface = std::unique_ptr<cairo_surface_t, Release>;
using Context = std::unique_ptr<cairo_t, Release>;

[[noreturn]] void fail(const std::string& reason, const std::string& name) {
  throw Error("the SVG cannot be drawn: " + reason, name, "check it with an SVG viewer");
}

[[noreturn]] void fail(GError* error, const std::string& name) {
  std::string reason = error != nullptr ? error->message : "unknown reason";
  std::replace(reason.begin(), reason.end(), '\n', ' ');  // librsvg breaks its lines; an error of ours is one
  g_clear_error(&error);
  fail(reason, name);
}

// Without a base file librsvg resolves no reference but data: URLs.
Handle parse(Bytes bytes, const std::string& name) {
  const Stream stream(g_memory_input_stream_new_from_data(bytes.data(), static_cast<gssize>(bytes.size()), nullptr));
  GError* error = nullptr;
  Handle handle(rsvg_handle_new_from_stream_sync(stream.get(), nullptr, RSVG_HANDLE_FLAGS_NONE, nullptr, &error));
  if (handle == nullptr) fail(error, name);
  return handle;
}

struct Size {
  double height, width;
};

Size natural_size(RsvgHandle* handle) {
  Size size{};
  if (rsvg_handle_get_intrinsic_size_in_pixels(handle, &size.width, &size.height)) return size;
  gboolean has_width = FALSE, has_height = FALSE, has_box = FALSE;
  RsvgLength width{}, height{};
  RsvgRectangle box{};
  rsvg_handle_get_intrinsic_dimensions(handle, &has_width, &width, &has_height, &height, &has_box, &box);
  if (has_box && box.width > 0 && box.height > 0) return {box.height, box.width};
  return {kDefaultSide, kDefaultSide};
}

// The largest size of the drawing's aspect in the box that was asked for.
Size fitted(Size natural, const DecodeOptions& options) {
  const double by_height = static_cast<double>(options.svg_height) / natural.height;
  const double by_width = static_cast<double>(options.svg_width) / natural.width;
  double scale = 1;
  if (options.svg_height > 0 && options.svg_width > 0) {
    scale = std::min(by_height, by_width);
  } else if (options.svg_height > 0 || options.svg_width > 0) {
    scale = std::max(by_height, by_width);
  }
  return {natural.height * scale, natural.width * scale};
}

int64_t whole(double length, const std::string& name) {
  if (!std::isfinite(length) || length <= 0 || length > 1e9) fail("its size is not sensible", name);
  return std::max<int64_t>(1, std::llround(length));
}

// Cairo's pixels are premultiplied and stored as machine words.
void copy_straight(cairo_surface_t* surface, Image& image) {
  const uint8_t* data = cairo_image_surface_get_data(surface);
  const int64_t stride = cairo_image_surface_get_stride(surface);
  for (int64_t y = 0; y < image.height; ++y) {
    const auto* in = reinterpret_cast<const uint32_t*>(data + y * stride);
    uint8_t* out = image.row(y);
    for (int64_t x = 0; x < image.width; ++x, out += 4) {
      const uint32_t alpha = in[x] >> 24;
      if (alpha == 0) continue;
      for (int c = 0; c < 3; ++c) {
        const uint32_t value = (in[x] >> (16 - 8 * c)) & 0xFF;
        out[c] = static_cast<uint8_t>(std::min<uint32_t>(255, (value * 255 + alpha / 2) / alpha));
      }
      out[3] = static_cast<uint8_t>(alpha);
    }
  }
}

}  // namespace

Image decode_svg(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  if (bytes.size() > kMaxBytes) throw Error("the SVG has more than 32 MiB", name, "simplify it, or give a PNG");
  const Handle handle = parse(bytes, name);
  const Size size = fitted(natural_size(handle.get()), options);
  const int64_t height = whole(size.height, name), width = whole(size.width, name);
  detail::check_size(height, width, name, options);
  const Surface surface(
      cairo_image_surface_create(CAIRO_FORMAT_ARGB32, static_cast<int>(width), static_cast<int>(height)));
  if (cairo_surface_status(surface.get()) != CAIRO_STATUS_SUCCESS) fail("one side is too long", name);
  const Context context(cairo_create(surface.get()));
  const RsvgRectangle page{0, 0, static_cast<double>(width), static_cast<double>(height)};
  GError* error = nullptr;
  if (!rsvg_handle_render_document(handle.get(), context.get(), &page, &error)) fail(error, name);
  cairo_surface_flush(surface.get());
  Image image(height, width, 4);
  copy_straight(surface.get(), image);
  return image;
}

}  // namespace tessera

#include "data/emoji_font.h"

#include <hb.h>

#include <cstdio>
#include <memory>

#include "core/error.h"
#include "data/package.h"

namespace tessera {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Blob = std::unique_ptr<hb_blob_t, Freed<hb_blob_destroy>>;
using Face = std::unique_ptr<hb_face_t, Freed<hb_face_destroy>>;
using Font = std::unique_ptr<hb_font_t, Freed<hb_font_destroy>>;
using Buffer = std::unique_ptr<hb_buffer_t, Freed<hb_buffer_destroy>>;
using DrawFuncs = std::unique_ptr<hb_draw_funcs_t, Freed<hb_draw_funcs_destroy>>;

/// The one glyph that stands for a text; 0, the glyph of what is missing, when it takes several or none.
hb_codepoint_t glyph_of(hb_font_t* font, const std::string& text) {
  const Buffer buffer(hb_buffer_create());
  hb_buffer_add_utf8(buffer.get(), text.data(), static_cast<int>(text.size()), 0, -1);
  hb_buffer_guess_segment_properties(buffer.get());
  hb_shape(font, buffer.get(), nullptr, 0);
  unsigned count = 0;
  const hb_glyph_info_t* glyphs = hb_buffer_get_glyph_infos(buffer.get(), &count);
  return count == 1 ? glyphs[0].codepoint : 0;
}

void add_command(void* path, const char* command, std::initializer_list<float> numbers) {
  auto& text = *static_cast<std::string*>(path);
  text += command;
  char number[32];
  for (const float value : numbers) {
    std::snprintf(number, sizeof number, " %g", static_cast<double>(value));
    text += number;
  }
}

/// Writes outlines as the `d` of an SVG path into the std::string that is the draw data.
DrawFuncs path_writer() {
  DrawFuncs draw(hb_draw_funcs_create());
  hb_draw_funcs_set_move_to_func(
      draw.get(),
      [](auto*, void* path, auto*, float x, float y, void*) {
        add_command(path, "M", {x, y});
      },
      nullptr, nullptr);
  hb_draw_funcs_set_line_to_func(
      draw.get(),
      [](auto*, void* path, auto*, float x, float y, void*) {
        add_command(path, "L", {x, y});
      },
      nullptr, nullptr);
  hb_draw_funcs_set_quadratic_to_func(
      draw.get(),
      [](auto*, void* path, auto*, float cx, float cy, float x, float y, void*) {
        add_command(path, "Q", {cx, cy, x, y});
      },
      nullptr, nullptr);
  hb_draw_funcs_set_cubic_to_func(
      draw.get(),
      [](auto*, void* path, auto*, float ax, float ay, float bx, float by, float x, float y, void*) {
        add_command(path, "C", {ax, ay, bx, by, x, y});
      },
      nullptr, nullptr);
  hb_draw_funcs_set_close_path_func(
      draw.get(), [](auto*, void* path, auto*, void*) { add_command(path, "Z", {}); }, nullptr, nullptr);
  return draw;
}

/// The glyph in the middle of a square as wide as its advance. Font units point up, SVG's down.
std::string document(hb_font_t* font, hb_codepoint_t glyph, hb_draw_funcs_t* draw) {
  std::string path;
  hb_font_get_glyph_shape(font, glyph, draw, &path);
  if (path.empty()) return "";
  hb_font_extents_t line{};
  hb_font_get_h_extents(font, &line);
  const double side = hb_font_get_glyph_h_advance(font, glyph), middle = (line.ascender + line.descender) / 2.0;
  char head[192];
  std::snprintf(head, sizeof head,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"96\" height=\"96\" viewBox=\"0 %g %g %g\">",
                -middle - side / 2, side, side);
  return std::string(head) + "<path transform=\"scale(1 -1)\" d=\"" + path + "\"/></svg>";
}

}  // namespace

IconSet read_emoji_font(const std::filesystem::path& tarball, const std::map<std::string, Symbol>& symbols) {
  const Package package(tarball, [](const std::string& member) { return member.ends_with("_400Regular.ttf"); });
  const std::string& bytes = package.bytes("_400Regular.ttf");
  const Blob blob(
      hb_blob_create(bytes.data(), static_cast<unsigned>(bytes.size()), HB_MEMORY_MODE_READONLY, nullptr, nullptr));
  const Face face(hb_face_create(blob.get(), 0));
  if (hb_face_get_glyph_count(face.get()) == 0) throw Error("holds no font", tarball.string());
  const Font font(hb_font_create(face.get()));
  const DrawFuncs draw = path_writer();
  const std::string prefix = package.name().substr(package.name().rfind('/') + 1) + "-font";
  IconSet set{package.name(), package.version(), prefix, prefix, package.licence(), {}};
  for (const auto& [id, symbol] : symbols) {
    const hb_codepoint_t glyph = glyph_of(font.get(), symbol.character);
    std::string svg = glyph == 0 ? "" : document(font.get(), glyph, draw.get());
    if (!svg.empty()) set.icons.push_back(Icon{id, {}, id, std::move(svg), false});
  }
  if (set.icons.empty()) throw Error("draws no emoji", tarball.string());
  return set;
}

}  // namespace tessera

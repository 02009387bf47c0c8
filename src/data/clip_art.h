#pragma once
#include <filesystem>

#include "data/iconify.h"

namespace tessera {

/// The drawings of Debian's package openclipart-svg: named by their title (dc:title), or by their file where they have
/// none, with the keywords of their description (dc:subject) and the folder that they lie in as group. What the authors
/// misspelled stays so.
/// @throws Error when the file is no Debian package, or holds no drawing
IconSet read_clip_art(const std::filesystem::path& package);

/// What an SVG says about itself in its metadata; empty where it does not, or where it is no XML.
struct DrawingDescription {
  std::string title;
  std::vector<std::string> keywords;
};
DrawingDescription describe_drawing(const std::string& svg);

}  // namespace tessera

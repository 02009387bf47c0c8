#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "data/iconify.h"
#include "data/symbols.h"

namespace tessera {

/// The outlines of a one-colour emoji font, as a set of icons: every symbol that the font draws with a single glyph,
/// black on nothing. Glyphs are found as text is set, by HarfBuzz, so that a sequence joined by zero-width joiners
/// gives its own picture.
/// @param tarball  an npm package with a TrueType file of regular weight (NAME_400Regular.ttf)
/// @throws Error when the package has no such file, or the file is no font
IconSet read_emoji_font(const std::filesystem::path& tarball, const std::map<std::string, Symbol>& symbols);

}  // namespace tessera

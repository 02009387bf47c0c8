#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/random.h"
#include "io/image.h"

namespace tessera {

/// The eleven basic colour terms of English (Berlin and Kay, 1969).
const std::vector<std::string>& colour_names();

/// The colour term of a pixel, by hue, saturation and value.
const std::string& colour_of(uint8_t red, uint8_t green, uint8_t blue);

/// The colour that most of a drawing has: of the pixels that are more opaque than not, at least `share`.
/// @param premultiplied  RGBA, see premultiply()
/// @return none for an empty drawing or one without such a colour
std::optional<std::string> main_colour(const Image& premultiplied, double share = 0.5);

/// The drawing in other colours: all hues turned by one angle, saturations and values bent by one power each.
/// @param premultiplied  RGBA
Image recoloured(const Image& premultiplied, Random& random);

}  // namespace tessera

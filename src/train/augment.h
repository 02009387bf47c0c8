#pragma once
#include <string>
#include <vector>

#include "core/options.h"
#include "core/random.h"
#include "io/image.h"

namespace tessera {

/// How pictures are varied while training. Amounts are the largest deviation, drawn uniformly on both sides of none;
/// an amount or a probability of 0 leaves the step out. Sizes are fractions of the picture's side.
struct AugmentOptions {
  // geometry, one warp with bilinear sampling
  double rotation = 20;                       ///< degrees
  double large_rotation = 0;                  ///< probability of three times that
  double scale_min = 0.75, scale_max = 1.25;  ///< size of the drawing, drawn in the logarithm
  double aspect = 0.2;                        ///< logarithm of width over height
  double shear = 0.15;
  double translation = 0.12;  ///< of half the side
  double flip = 0.25;         ///< probability of a mirror image, where the name does not forbid it (see no_flip)
  std::string no_flip =
      "left|right|arrow|letter|keycap|flag|button|clock|thirty|input|digit|backhand|moon|sign|symbol|"
      "abc|up|down|italic|question|musical|medal|skin";  ///< words of an English name, joined by |
  std::string keep_colour;  ///< words as above: no hue, greyscale, inversion or permutation for what they name
  double perspective = 0.1;
  double elastic = 0.05;  ///< displacement of a smooth 4 x 4 field, of half the side
  // colour, one matrix
  double hue = 0.2;                                   ///< of half a turn
  double any_hue = 0.1;                               ///< probability of any turn instead
  double saturation_min = 0.4, saturation_max = 1.8;  ///< drawn in the logarithm
  double grayscale = 0.12;                            ///< probability
  double brightness = 0.25, gain = 0.12;              ///< of all channels, of each channel
  double contrast = 0.35;                             ///< logarithm
  double offset = 0.1;
  double invert = 0.03;     ///< probability
  double permute = 0;       ///< probability that the channels change places
  double posterise = 0.15;  ///< probability of 2 to 5 levels
  // what remains
  double background = 0.4;  ///< probability of a random colour behind the drawing instead of `background_colour`
  double outline = 0;       ///< probability that only the edges remain, as dark lines
  double blur = 0.2;        ///< probability of a 3 x 3 mean
  double cutout = 0.4;      ///< probability of a rectangle of one colour over the picture
  double cutout_min = 0.1, cutout_max = 0.45;         ///< its sides
  double noise = 0;                                   ///< largest standard deviation of normal noise
  std::vector<double> background_colour = {1, 1, 1};  ///< red, green, blue
};
TESSERA_OPTIONS(AugmentOptions, rotation, large_rotation, scale_min, scale_max, aspect, shear, translation, flip,
                no_flip, keep_colour, perspective, elastic, hue, any_hue, saturation_min, saturation_max, grayscale,
                brightness, gain, contrast, offset, invert, permute, posterise, background, outline, blur, cutout,
                cutout_min, cutout_max, noise, background_colour)

/// Every number the part `amount` of the way from `start` to `end`; what is no number is that of `end`.
AugmentOptions between(const AugmentOptions& start, const AugmentOptions& end, double amount);

/// The same without what changes colours.
AugmentOptions in_true_colours(AugmentOptions options);

/// @throws Error when a range is empty, a probability is not in [0, 1] or the colour has not three channels
void check_augment(const AugmentOptions& options, const std::string& where);

/// What changes nothing about what a picture shows: not its mirror image where that points to the other side, not
/// another hue where the colour has a meaning.
struct Symmetry {
  bool mirror = true, colour = true;
};

/// Varies one picture: RGBA with premultiplied colours in, `size` x `size` out as three planes in [0, 1] (noise may
/// leave the range). The same draws give the same picture.
void augment(const Image& premultiplied, const AugmentOptions& options, const Symmetry& symmetry, Random& random,
             int64_t size, float* planes);

/// The picture over the background, shrunk with antialiasing, as three planes in [0, 1]: what evaluation sees.
void plain_view(const Image& premultiplied, const std::vector<double>& background, int64_t size, float* planes);

/// The symmetries of what this English name says.
Symmetry symmetry_of(const std::string& english_name, const AugmentOptions& options);

}  // namespace tessera

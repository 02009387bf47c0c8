#pragma once
#include <string>
#include <vector>

namespace tessera {

/// A place in a picture that an answer names. Coordinates are pixels of the picture as it was given: x, y, x, y, ...;
/// what the answer does not give is empty.
struct PictureRegion {
  std::string label;                          ///< empty where the task gives none
  std::vector<double> box;                    ///< left, top, right, bottom
  std::vector<double> quad;                   ///< the four corners of a line of text
  std::vector<std::vector<double>> polygons;  ///< parts of one mask
};

}  // namespace tessera

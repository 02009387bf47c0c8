#pragma once
#include <string>
#include <utility>
#include <vector>

namespace tessera {

/// A line of a plot through its points, in the order of x.
struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  ///< positive
};

/// A plot with logarithmic axes.
struct LogPlot {
  std::string title, x_label, y_label;
  std::vector<Curve> curves;
};

/// Plots side by side as an SVG picture, each line named at its end. @throws Error for a plot without positive points
std::string draw(const std::vector<LogPlot>& plots);

}  // namespace tessera

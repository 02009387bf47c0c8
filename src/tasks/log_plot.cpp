#include "tasks/log_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/error.h"
#include "tasks/report.h"

namespace tessera {
namespace {

constexpr double kWidth = 680, kHeight = 560, kLeft = 70, kTop = 40, kRight = 210, kBottom = 50;
constexpr double kLine = 12;  // between two names
const char* const kColours[] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17849b", "#8c564b", "#7f7f7f"};
const char* const kDashes[] = {"", "6 3", "2 3"};

std::string number(double value, const char* format = "%.1f") {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

/// The range of an axis, in powers of ten.
struct Axis {
  double low = INFINITY, high = -INFINITY, begin, length;  // begin and length in the picture; length may be negative

  void hold(double value) { low = std::min(low, std::log10(value)), high = std::max(high, std::log10(value)); }
  double at(double value) const { return begin + length * (std::log10(value) - low) / std::max(high - low, 1e-9); }
  /// 1, 2 and 5 times the powers of ten within the range, or the powers alone where it is wide.
  std::vector<double> marks() const {
    std::vector<double> marks;
    for (int power = static_cast<int>(std::floor(low)); power <= high; ++power)
      for (const double digit : {1.0, 2.0, 5.0}) {
        const double value = digit * std::pow(10, power), place = std::log10(value);
        if ((digit == 1 || high - low < 3) && place >= low - 1e-9 && place <= high + 1e-9) marks.push_back(value);
      }
    return marks;
  }
};

std::string text(double x, double y, const std::string& words, const std::string& attributes) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + attributes + ">" + escape_html(words) + "</text>\n";
}

std::string line(double x1, double y1, double x2, double y2, const std::string& attributes) {
  return "<line x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" + number(x2) + "\" y2=\"" + number(y2) +
         "\" " + attributes + "/>\n";
}

struct EndOfLine {
  double y;  // where the name would stand
  size_t curve;
};

/// Moves names apart that would stand on each other, keeping their order.
std::vector<EndOfLine> apart(std::vector<EndOfLine> names) {
  std::sort(names.begin(), names.end(), [](const EndOfLine& a, const EndOfLine& b) { return a.y < b.y; });
  for (size_t i = 1; i < names.size(); ++i) names[i].y = std::max(names[i].y, names[i - 1].y + kLine);
  const double over = names.empty() ? 0 : names.back().y - (kHeight - kBottom);
  if (over > 0) names.back().y -= over;
  for (size_t i = names.size() - 1; i-- > 0;) names[i].y = std::min(names[i].y, names[i + 1].y - kLine);
  return names;
}

std::string frame(const LogPlot& plot, const Axis& x, const Axis& y) {
  const double right = x.begin + x.length, top = y.begin + y.length;
  std::string svg = text(x.begin, 22, plot.title, "font-size=\"15\" font-weight=\"bold\"");
  for (const double mark : x.marks()) {
    svg += line(x.at(mark), y.begin, x.at(mark), top, "stroke=\"#ddd\"");
    svg += text(x.at(mark), y.begin + 16, number(mark, "%g"), "text-anchor=\"middle\" fill=\"#555\"");
  }
  for (const double mark : y.marks()) {
    svg += line(x.begin, y.at(mark), right, y.at(mark), "stroke=\"#ddd\"");
    svg += text(x.begin - 6, y.at(mark) + 4, number(mark, "%g"), "text-anchor=\"end\" fill=\"#555\"");
  }
  svg += text((x.begin + right) / 2, y.begin + 36, plot.x_label, "text-anchor=\"middle\"");
  return svg + text(x.begin, kTop - 6, plot.y_label, "fill=\"#555\"");
}

std::string draw(const LogPlot& plot, double left) {
  Axis x{.begin = left + kLeft, .length = kWidth - kLeft - kRight};
  Axis y{.begin = kHeight - kBottom, .length = -(kHeight - kTop - kBottom)};
  for (const auto& curve : plot.curves)
    for (const auto& [a, b] : curve.points)
      if (a > 0 && b > 0) x.hold(a), y.hold(b);
  if (!(x.high >= x.low)) throw Error("has no positive points", "plot: " + plot.title);
  std::string svg = frame(plot, x, y);
  std::vector<EndOfLine> names;
  const auto style = [](size_t i) {
    return "stroke=\"" + std::string(kColours[i % std::size(kColours)]) + "\" stroke-dasharray=\"" +
           kDashes[i / std::size(kColours) % std::size(kDashes)] + "\"";
  };
  for (size_t i = 0; i < plot.curves.size(); ++i) {
    std::string points;
    double last = y.begin;
    for (const auto& [a, b] : plot.curves[i].points)
      if (a > 0 && b > 0) points += number(x.at(a)) + "," + number(last = y.at(b)) + " ";
    svg += "<polyline fill=\"none\" stroke-width=\"1.6\" " + style(i) + " points=\"" + points + "\"/>\n";
    names.push_back({last, i});
  }
  const double right = x.begin + x.length;
  std::vector<double> ends(plot.curves.size());
  for (const auto& name : names) ends[name.curve] = name.y;
  for (const auto& name : apart(names)) {
    svg += line(right, ends[name.curve], right + 18, name.y, "stroke-width=\"1\" " + style(name.curve));
    svg += text(right + 21, name.y + 4, plot.curves[name.curve].name,
                "fill=\"" + std::string(kColours[name.curve % std::size(kColours)]) + "\"");
  }
  return svg;
}

}  // namespace

std::string draw(const std::vector<LogPlot>& plots) {
  const double width = kWidth * static_cast<double>(plots.size());
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(width, "%g") + " " +
                    number(kHeight, "%g") + "\" width=\"" + number(width, "%g") + "\" height=\"" +
                    number(kHeight, "%g") + "\" font-family=\"sans-serif\" font-size=\"11\">\n" +
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (size_t i = 0; i < plots.size(); ++i) svg += draw(plots[i], kWidth * static_cast<double>(i));
  return svg + "</svg>\n";
}

}  // namespace tessera

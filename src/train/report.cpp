#include "train/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include "core/files.h"
#include "core/progress.h"
#include "train/learner.h"
#include "train/run_files.h"

namespace tessera {
namespace {

using Points = std::vector<std::pair<double, double>>;

std::string escape(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string number(double value, const char* format = "%.4g") {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

struct Curve {
  std::string name;
  Points points;
};

const char* const kColours[] = {"#2a6f97", "#c1440e", "#5a8f29", "#7b4fa3", "#b8860b", "#008080"};

/// Curves over the steps in one box, with the values at its corners.
std::string chart(const std::string& title, const std::vector<Curve>& curves) {
  double left = INFINITY, right = -INFINITY, low = INFINITY, high = -INFINITY;
  for (const auto& curve : curves)
    for (const auto& [x, y] : curve.points)
      left = std::min(left, x), right = std::max(right, x), low = std::min(low, y), high = std::max(high, y);
  if (!(right >= left)) return "";
  const double width = 640, height = 240, margin = 48;
  const double across = std::max(right - left, 1e-9), up = std::max(high - low, 1e-9);
  std::string svg = "<h2>" + escape(title) + "</h2>\n<svg viewBox=\"0 0 700 300\" role=\"img\">\n";
  svg += "<rect x=\"48\" y=\"10\" width=\"640\" height=\"240\" fill=\"none\" stroke=\"#ccc\"/>\n";
  auto label = [&](double x, double y, const std::string& text, const char* anchor, const char* colour = "#555") {
    svg += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" fill=\"" + colour +
           "\">" + escape(text) + "</text>\n";
  };
  label(margin - 4, 20, number(high), "end");
  label(margin - 4, 250, number(low), "end");
  label(margin, 268, "step " + number(left, "%.0f"), "start");
  label(margin + width, 268, number(right, "%.0f"), "end");
  for (size_t i = 0; i < curves.size(); ++i) {
    const char* colour = kColours[i % std::size(kColours)];
    std::string line;
    for (const auto& [x, y] : curves[i].points)
      line += number(margin + (x - left) / across * width, "%.1f") + "," +
              number(10 + (high - y) / up * height, "%.1f") + " ";
    svg += "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"" + std::string(colour) + "\" points=\"" + line +
           "\"/>\n";
    if (curves.size() > 1)
      label(margin + 8 + 130 * static_cast<double>(i % 5), 286 + 12 * static_cast<double>(i / 5), curves[i].name,
            "start", colour);
  }
  return svg + "</svg>\n";
}

/// What an evaluation has of a measure.
std::string cell(const Json& score, const std::string& measure) {
  if (!score.contains(measure)) return "-";
  const double value = score.value(measure, 0.0);
  return is_part(measure) ? number(100 * value, "%.1f") + " %" : number(value);
}

std::string evaluation_table(const std::vector<Json>& lines) {
  std::set<std::string> measures;
  for (const auto& line : lines)
    if (line.contains("evaluation"))
      for (const auto& score : line["evaluation"])
        for (const auto& [measure, value] : score.items()) measures.insert(measure);
  if (measures.empty()) return "";
  std::string rows = "<tr><th>step</th><th>of</th>";
  for (const auto& measure : measures) rows += "<th>" + escape(measure_title(measure)) + "</th>";
  rows += "</tr>\n";
  for (const auto& line : lines) {
    if (!line.contains("evaluation")) continue;
    for (const auto& [set, score] : line["evaluation"].items()) {
      rows += "<tr><td>" + line["step"].dump() + "</td><td>" + escape(set) + "</td>";
      for (const auto& measure : measures) rows += "<td>" + cell(score, measure) + "</td>";
      rows += "</tr>\n";
    }
  }
  return "<h2>Evaluations</h2>\n<table>" + rows + "</table>\n";
}

}  // namespace

void write_report(const std::filesystem::path& folder, const Recipe& recipe) {
  const std::vector<Json> lines = read_metrics(folder / "metrics.jsonl");
  Curve loss{"loss", {}}, norm{"gradient norm", {}}, rate{"learning rate", {}};
  std::map<std::string, Curve> accuracy;
  double seconds = 0;
  for (const auto& line : lines) {
    const auto step = line.value("step", 0.0);
    if (line.contains("loss")) {
      loss.points.emplace_back(step, line.value("loss", 0.0));
      norm.points.emplace_back(step, line.value("gradient_norm", 0.0));
      rate.points.emplace_back(step, line.value("learning_rate", 0.0));
      seconds = line.value("seconds", 0.0);
    }
    if (line.contains("evaluation"))
      for (const auto& [language, score] : line["evaluation"].items())
        for (const auto& [measure, value] : score.items()) {
          if (!is_part(measure)) continue;
          Curve& curve = accuracy[language + " " + measure];
          curve.name = language + " " + measure_title(measure);
          curve.points.emplace_back(step, 100 * value.get<double>());
        }
  }
  std::vector<Curve> accuracies;
  for (const auto& [name, curve] : accuracy) accuracies.push_back(curve);
  std::string page =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Training run</title>\n<style>"
      "body{font:15px/1.5 sans-serif;max-width:760px;margin:2em auto;padding:0 1em;color:#222}"
      "svg{width:100%}svg text{font:11px sans-serif}table{border-collapse:collapse}"
      "td,th{padding:.2em .8em;border-bottom:1px solid "
      "#ddd;text-align:right}pre{background:#f6f6f6;padding:1em;overflow:auto}"
      "</style></head><body>\n<h1>Training run " +
      escape(folder.filename().string()) + "</h1>\n";
  if (!loss.points.empty())
    page += "<p>Step " + number(loss.points.back().first, "%.0f") + " of " + std::to_string(recipe.steps) + ", loss " +
            number(loss.points.back().second) + ", trained for " + format_duration(seconds) + ".</p>\n";
  page += chart("Loss", {loss}) + chart("Evaluation, per cent", accuracies) + evaluation_table(lines);
  page += chart("Gradient norm", {norm}) + chart("Learning rate", {rate});
  page += "<h2>Recipe</h2>\n<pre>" + escape(write_options(recipe).dump(2)) + "</pre>\n</body></html>\n";
  write_file(folder / "report.html", page);
}

}  // namespace tessera

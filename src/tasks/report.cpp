#include "tasks/report.h"

#include <cstdio>

namespace tessera {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1c1f23; --soft: #5d6670; --paper: #f6f5f2; --card: #fff; --bar: #2f7d6b; --track: #e6e4de; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e9eaec; --soft: #9aa3ad; --paper: #16181b; --card: #202428; --bar: #5cc0a8; --track: #33383e; }
}
body { margin: 0 auto; padding: 2rem 1rem; max-width: 72rem; font: 16px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { margin: 0; font-size: 1.7rem; } h2 { margin: 2.5rem 0 1rem; font-size: 1.2rem; } p { margin: .3rem 0; color: var(--soft); }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }
article { padding: 1rem; border-radius: .7rem; background: var(--card); }
article > img { display: block; height: 6rem; margin: 0 auto .6rem; }
img { background: #fff; border-radius: .5rem; }
h3 { margin: .7rem 0 .2rem; font-size: .8rem; color: var(--soft); }
.answer { display: grid; grid-template-columns: 9rem 1fr 3.8rem; gap: .5rem; align-items: center; font-size: .92rem; }
.answer:first-of-type { font-weight: 600; }
.track { height: .55rem; border-radius: .3rem; background: var(--track); overflow: hidden; }
.track i { display: block; height: 100%; background: var(--bar); }
.score { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; color: var(--soft); }
.said { margin: .4rem 0 0; font-size: .92rem; } .said q { color: var(--soft); } .said bdi { font-weight: 600; }
.search { display: flex; gap: .8rem; align-items: center; margin: .5rem 0; }
.search b { width: 14rem; } .search img { height: 3.4rem; width: 3.4rem; object-fit: contain; }
)";

std::string base64(Bytes bytes) {
  const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (i + k < bytes.size() ? bytes[i + k] : 0U);
    for (size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::string percent(float score) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f", 100 * static_cast<double>(score));
  return text;
}

std::string card(const PictureAnswers& picture) {
  std::string html = "<article>\n<img src=\"" + escape_html(picture.uri) + "\" alt=\"" + escape_html(picture.name) +
                     "\">\n<p>" + escape_html(picture.name) + "</p>\n";
  for (const auto& language : picture.languages) {
    const std::string code = escape_html(language.code);
    html += "<section lang=\"" + code + "\"><h3>" + code + "</h3>\n";
    for (const auto& answer : language.answers) {
      const std::string share = percent(answer.score);
      html += "<div class=\"answer\"><bdi>" + escape_html(answer.label) +
              "</bdi><span class=\"track\"><i style=\"width:" + share + "%\"></i></span><span class=\"score\">" +
              share + " %</span></div>\n";
    }
    html += "</section>\n";
  }
  for (const auto& [question, text] : picture.said)
    html += "<div class=\"said\"><q>" + escape_html(question) + "</q> <bdi>" + escape_html(text) + "</bdi></div>\n";
  return html + "</article>\n";
}

std::string search_line(const SearchAnswers& search, const std::vector<PictureAnswers>& pictures) {
  std::string html =
      "<div class=\"search\"><b lang=\"" + escape_html(search.language) + "\">" + escape_html(search.query) + "</b>\n";
  for (const auto& [index, score] : search.found) {
    char cosine[16];
    std::snprintf(cosine, sizeof cosine, "%.2f", static_cast<double>(score));
    const std::string name = escape_html(pictures.at(index).name);
    html += "<img src=\"" + escape_html(pictures.at(index).uri) + "\" alt=\"" + name + "\" title=\"" + name + ", " +
            cosine + "\">\n";
  }
  return html + "</div>\n";
}

}  // namespace

std::string answers_page(const std::string& title, const std::string& model,
                         const std::vector<PictureAnswers>& pictures, const std::vector<SearchAnswers>& searches) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>" +
      escape_html(title) + "</title>\n<style>" + kStyle + "</style>\n<h1>" + escape_html(title) +
      "</h1>\n<p>Named by " + escape_html(model) +
      ": the best labels of each language with their probabilities.</p>\n<main>\n";
  for (const auto& picture : pictures) html += card(picture);
  html += "</main>\n";
  if (!searches.empty()) html += "<h2>Found by text, best first</h2>\n";
  for (const auto& search : searches) html += search_line(search, pictures);
  return html + "</html>\n";
}

std::string data_uri(Bytes bytes, const std::string& name) {
  const char* type = nullptr;
  switch (sniff_image(bytes)) {
    case ImageType::kJpeg:
      type = "jpeg";
      break;
    case ImageType::kPng:
      type = "png";
      break;
    case ImageType::kWebp:
      type = "webp";
      break;
    case ImageType::kGif:
      type = "gif";
      break;
    case ImageType::kSvg:
      type = "svg+xml";
      break;
    case ImageType::kUnknown:
      throw Error("is no picture", name);
  }
  return std::string("data:image/") + type + ";base64," + base64(bytes);
}

std::string escape_html(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '&')
      safe += "&amp;";
    else if (c == '<')
      safe += "&lt;";
    else if (c == '>')
      safe += "&gt;";
    else if (c == '"')
      safe += "&quot;";
    else if (c == '\'')
      safe += "&#39;";
    else
      safe += c;
  }
  return safe;
}

}  // namespace tessera

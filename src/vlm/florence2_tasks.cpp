#include "vlm/florence2_tasks.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/options.h"

namespace tessera {
namespace {

enum class Form { kText, kBoxes, kProposals, kQuads, kPolygons, kBoxesOrPolygons };

struct Task {
  std::string name, question;  ///< "{}" stands for the user's text
  Form form;
  bool takes_text() const { return question.find("{}") != std::string::npos; }
};

const std::vector<Task>& tasks() {
  static const std::vector<Task> all = {
      {"<CAPTION>", "What does the image describe?", Form::kText},
      {"<DETAILED_CAPTION>", "Describe in detail what is shown in the image.", Form::kText},
      {"<MORE_DETAILED_CAPTION>", "Describe with a paragraph what is shown in the image.", Form::kText},
      {"<OCR>", "What is the text in the image?", Form::kText},
      {"<OCR_WITH_REGION>", "What is the text in the image, with regions?", Form::kQuads},
      {"<OD>", "Locate the objects with category name in the image.", Form::kBoxes},
      {"<DENSE_REGION_CAPTION>", "Locate the objects in the image, with their descriptions.", Form::kBoxes},
      {"<REGION_PROPOSAL>", "Locate the region proposals in the image.", Form::kProposals},
      {"<CAPTION_TO_PHRASE_GROUNDING>", "Locate the phrases in the caption: {}", Form::kBoxes},
      {"<REFERRING_EXPRESSION_SEGMENTATION>", "Locate {} in the image with mask", Form::kPolygons},
      {"<REGION_TO_SEGMENTATION>", "What is the polygon mask of region {}", Form::kPolygons},
      {"<OPEN_VOCABULARY_DETECTION>", "Locate {} in the image.", Form::kBoxesOrPolygons},
      {"<REGION_TO_CATEGORY>", "What is the region {}?", Form::kText},
      {"<REGION_TO_DESCRIPTION>", "What does the region {} describe?", Form::kText},
      {"<REGION_TO_OCR>", "What text is in the region {}?", Form::kText},
  };
  return all;
}

/// The task that a prompt begins with, "<OD>"; empty where it begins with none.
std::string name_in(const std::string& prompt) {
  const size_t end = prompt.starts_with('<') ? prompt.find('>') : std::string::npos;
  return end == std::string::npos ? "" : prompt.substr(0, end + 1);
}

const Task& task_of(const std::string& name) {
  check_choice(name, florence2_tasks(), "task");
  return *std::find_if(tasks().begin(), tasks().end(), [&](const Task& task) { return task.name == name; });
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\n"), end = text.find_last_not_of(" \t\n");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

/// A label and what follows it up to the next label: places (0 ... 999) and marks.
constexpr int64_t kSeparator = -1, kBegin = -2, kEnd = -3;
struct Phrase {
  std::string label;
  std::vector<int64_t> places;
};

/// The number of "<loc_12>", or a mark.
std::optional<int64_t> place_of(const std::string& token) {
  if (token == "<sep>") return kSeparator;
  if (token == "<poly>") return kBegin;
  if (token == "</poly>") return kEnd;
  int64_t number = 0;
  if (!token.starts_with("<loc_")) return std::nullopt;
  const char *begin = token.data() + 5, *end = token.data() + token.size() - 1;
  const auto [rest, failure] = std::from_chars(begin, end, number);
  const bool valid = failure == std::errc() && rest == end && number >= 0 && number < 1000;
  return valid ? std::optional(number) : std::nullopt;
}

bool is_ignored(const std::string& token) {
  for (const char* known : {"<s>", "</s>", "<pad>", "<ground>", "<obj>"})
    if (token == known) return true;
  return false;
}

std::vector<Phrase> phrases_of(const std::string& written) {
  std::vector<Phrase> phrases(1);
  const auto add_text = [&](const std::string& text) {
    if (!phrases.back().places.empty()) phrases.emplace_back();
    phrases.back().label += text;
  };
  for (size_t i = 0; i < written.size();) {
    const size_t end = written[i] == '<' ? written.find('>', i) : std::string::npos;
    const std::string token = end == std::string::npos ? "" : written.substr(i, end - i + 1);
    if (const auto place = place_of(token))
      phrases.back().places.push_back(*place);
    else if (!is_ignored(token)) {
      const size_t next = std::min(written.find('<', i + 1), written.size());
      add_text(written.substr(i, next - i));
      i = next;
      continue;
    }
    i += token.size();
  }
  return phrases;
}

class Reader {
 public:
  Reader(int64_t width, int64_t height) : width_(static_cast<double>(width)), height_(static_cast<double>(height)) {}

  /// As many regions as there are groups of `count` places.
  void boxes(const Phrase& phrase, size_t count, std::vector<PictureRegion>& regions) const {
    std::vector<int64_t> numbers;
    for (const int64_t place : phrase.places)
      if (place >= 0) numbers.push_back(place);
    for (size_t i = 0; i + count <= numbers.size(); i += count) {
      PictureRegion region;
      region.label = trimmed(phrase.label);
      (count == 4 ? region.box : region.quad) = pixels({numbers.data() + i, numbers.data() + i + count});
      regions.push_back(std::move(region));
    }
  }

  /// Each "<poly> ... </poly>" is a region, and without them all of it; "<sep>" parts its polygons.
  void polygons(const Phrase& phrase, std::vector<PictureRegion>& regions) const {
    PictureRegion region;
    std::vector<int64_t> numbers;
    const auto end_polygon = [&] {
      if (numbers.size() >= 2) region.polygons.push_back(pixels(numbers));
      numbers.clear();
    };
    const auto end_region = [&] {
      end_polygon();
      region.label = trimmed(phrase.label);
      if (!region.polygons.empty()) regions.push_back(region);
      region = {};
    };
    for (const int64_t place : phrase.places) {
      if (place >= 0)
        numbers.push_back(place);
      else if (place == kSeparator)
        end_polygon();
      else
        end_region();
    }
    end_region();
  }

 private:
  std::vector<double> pixels(const std::vector<int64_t>& places) const {
    std::vector<double> result;
    for (size_t i = 0; i + 1 < places.size(); i += 2) {
      result.push_back((static_cast<double>(places[i]) + 0.5) * width_ / 1000);
      result.push_back((static_cast<double>(places[i + 1]) + 0.5) * height_ / 1000);
    }
    return result;
  }

  double width_, height_;
};

}  // namespace

std::vector<std::string> florence2_tasks() {
  std::vector<std::string> names;
  for (const Task& task : tasks()) names.push_back(task.name);
  return names;
}

std::string florence2_prompt(const std::string& text) {
  const std::string name = name_in(text);
  if (name.empty()) return text;
  const Task& task = task_of(name);
  const std::string rest = trimmed(text.substr(name.size()));
  if (task.takes_text() == rest.empty())
    throw Error(task.takes_text() ? "needs a text behind it" : "takes no text, and there is '" + rest + "'", task.name,
                task.takes_text() ? "write what it is about: \"" + task.name + "the dog\"" : "give the task alone");
  std::string question = task.question;
  if (task.takes_text()) question.replace(question.find("{}"), 2, rest);
  return question;
}

bool florence2_asks_for_places(const std::string& text) {
  const std::string name = name_in(text);
  return !name.empty() && task_of(name).form != Form::kText;
}

Florence2Answer florence2_answer(const std::string& prompt, const std::string& written, int64_t width, int64_t height) {
  const Task& task = task_of(name_in(prompt));
  if (width < 1 || height < 1)
    throw Error("a picture of " + std::to_string(width) + " x " + std::to_string(height) + " has no places", task.name);
  Florence2Answer answer;
  const std::vector<Phrase> phrases = phrases_of(written);
  if (task.form == Form::kText) {
    std::string text = written;
    for (const std::string mark : {"<s>", "</s>", "<pad>"})
      for (size_t at; (at = text.find(mark)) != std::string::npos;) text.erase(at, mark.size());
    answer.text = trimmed(text);
    return answer;
  }
  const bool polygons = task.form == Form::kPolygons ||
                        (task.form == Form::kBoxesOrPolygons && written.find("<poly>") != std::string::npos);
  const bool unlabelled = task.form == Form::kProposals || task.form == Form::kPolygons;
  const Reader reader(width, height);
  for (const Phrase& phrase : phrases) {
    if (!unlabelled && trimmed(phrase.label).empty()) continue;
    polygons ? reader.polygons(phrase, answer.regions)
             : reader.boxes(phrase, task.form == Form::kQuads ? 8 : 4, answer.regions);
  }
  return answer;
}

}  // namespace tessera

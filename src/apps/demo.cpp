#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "apps/verbs.h"
#include "core/files.h"
#include "data/questions.h"
#include "fusion/dual_encoder.h"
#include "tasks/answer.h"
#include "tasks/inputs.h"
#include "tasks/labels.h"
#include "tasks/report.h"

namespace tessera::apps {
namespace fs = std::filesystem;
namespace {

struct DemoArguments {
  std::string model, pictures = "demo/pictures", labels = "demo/labels", searches = "demo/searches.tsv",
                     questions = "demo/questions.tsv", out = "demo/out/index.html";
  int64_t top = 3;
};

constexpr int64_t kFound = 4;

/// Columns of a terminal that a text takes: letters of East Asia take two.
size_t display_width(const std::string& text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if ((lead & 0xC0) != 0x80) width += lead >= 0xE2 ? 2 : 1;
  }
  return width;
}

std::string padded(const std::string& text, size_t width) {
  const size_t taken = display_width(text);
  return text + std::string(taken < width ? width - taken : 0, ' ');
}

/// LANGUAGE.txt of a folder, English first.
std::vector<fs::path> label_files(const fs::path& folder) {
  std::vector<fs::path> files;
  if (fs::is_directory(folder))
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".txt") files.push_back(entry.path());
  if (files.empty()) throw Error("holds no LANGUAGE.txt with labels", folder.string());
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair(a.stem() != "en", a) < std::pair(b.stem() != "en", b);
  });
  return files;
}

struct Pictures {
  std::vector<PictureAnswers> answers;
  Tensor pixels;  // B x 3 x H x W
};

Pictures read_pictures(const Model& model, const std::string& folder) {
  Pictures pictures;
  std::vector<Tensor> rows;
  for (const auto& input : expand_inputs({folder})) {
    const std::string bytes = read_input(input);
    const Bytes view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    rows.push_back(prepare_picture(processor_of(model), view, input.name));
    pictures.answers.push_back({fs::path(input.name).stem().string(), data_uri(view, input.name), {}});
  }
  pictures.pixels = torch::stack(rows);
  return pictures;
}

void classify_all(const Model& model, const DemoArguments& arguments, Pictures& pictures) {
  for (const auto& file : label_files(arguments.labels)) {
    const PictureClassifier classifier(model, {.labels = load_labels(file), .templates = {}, .text = {}});
    const Tensor probabilities = classifier.probabilities(pictures.pixels);
    for (size_t i = 0; i < pictures.answers.size(); ++i)
      pictures.answers[i].languages.push_back(
          {file.stem().string(), classifier.best(probabilities[static_cast<int64_t>(i)], arguments.top)});
  }
}

/// The lines of a file, each of two fields with a tab between them; none where there is no such file.
std::vector<std::pair<std::string, std::string>> read_pairs(const std::string& file, const char* form) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (!fs::exists(file)) return pairs;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const size_t tab = line.find('\t');
    if (tab == std::string::npos) throw Error("a line is not " + std::string(form) + ": " + line, file);
    pairs.emplace_back(line.substr(0, tab), line.substr(tab + 1));
  }
  return pairs;
}

/// Names each picture in English, the language that the shipped model knows best, and asks what the file says.
void ask_all(const Model& model, const std::string& file, Pictures& pictures) {
  auto* talker = dynamic_cast<Talker*>(model.module.get());
  if (!talker || !model.tokenizer) return;
  Answerer answerer(*talker, *model.tokenizer);
  const auto questions = read_pairs(file, "PICTURE, tab, QUESTION");
  const auto& known = talker->languages();
  for (size_t i = 0; i < pictures.answers.size(); ++i) {
    PictureAnswers& picture = pictures.answers[i];
    std::vector<std::string> asked;
    if (known.empty() || std::count(known.begin(), known.end(), "en") > 0) asked.push_back(Questions::naming("en"));
    for (const auto& [name, question] : questions)
      if (name == picture.name || name == "*") asked.push_back(question);
    const Tensor pixels = pictures.pixels[static_cast<int64_t>(i)];
    const auto answers = answerer.answer(pixels.expand({static_cast<int64_t>(asked.size()), -1, -1, -1}), asked);
    for (size_t k = 0; k < asked.size(); ++k) picture.said.push_back({asked[k], answers[k].text});
  }
}

/// One search a line: language, tab, query.
std::vector<SearchAnswers> search_all(const Model& model, const std::string& file, const Tensor& pixels) {
  std::vector<SearchAnswers> searches;
  std::vector<std::string> queries;
  for (const auto& [language, query] : read_pairs(file, "LANGUAGE, tab, QUERY")) {
    searches.push_back({language, query, {}});
    queries.push_back(query);
  }
  if (searches.empty()) return searches;
  const Tensor images = unit(ImageEmbedder(model).embed(pixels));
  const Tensor scores = torch::matmul(unit(TextEmbedder(model).embed(queries)), images.t());  // queries x pictures
  for (size_t i = 0; i < searches.size(); ++i)
    for (const auto& [index, score] : best_of(scores[static_cast<int64_t>(i)], kFound))
      searches[i].found.emplace_back(static_cast<size_t>(index), score);
  return searches;
}

void print_answers(const std::vector<PictureAnswers>& pictures) {
  constexpr size_t kPicture = 11, kAnswer = 24;
  std::printf("%s", padded("picture", kPicture).c_str());
  for (const auto& language : pictures.front().languages) std::printf("%s", padded(language.code, kAnswer).c_str());
  std::printf("\n");
  for (const auto& picture : pictures) {
    std::printf("%s", padded(picture.name, kPicture).c_str());
    for (const auto& language : picture.languages) {
      char share[16];
      std::snprintf(share, sizeof share, "%3.0f %% ", 100 * static_cast<double>(language.answers.front().score));
      std::printf("%s", padded(share + language.answers.front().label, kAnswer).c_str());
    }
    std::printf("\n");
  }
}

void print_searches(const std::vector<SearchAnswers>& searches, const std::vector<PictureAnswers>& pictures) {
  for (const auto& search : searches) {
    std::printf("%s", padded(search.query, 26).c_str());
    for (const auto& [index, score] : search.found)
      std::printf(" %s %.2f  ", pictures[index].name.c_str(), static_cast<double>(score));
    std::printf("\n");
  }
}

void print_said(const std::vector<PictureAnswers>& pictures) {
  size_t widest = 0;
  for (const auto& picture : pictures)
    for (const auto& said : picture.said) widest = std::max(widest, display_width(said.question));
  for (const auto& picture : pictures)
    for (size_t i = 0; i < picture.said.size(); ++i)
      std::printf("%s%s%s\n", padded(i == 0 ? picture.name : "", 11).c_str(),
                  padded(picture.said[i].question, widest + 2).c_str(), picture.said[i].text.c_str());
}

int demo(const DemoArguments& arguments) {
  const Model model = open_model(arguments.model);
  Pictures pictures = read_pictures(model, arguments.pictures);
  classify_all(model, arguments, pictures);
  ask_all(model, arguments.questions, pictures);
  const auto searches = search_all(model, arguments.searches, pictures.pixels);
  print_answers(pictures.answers);
  std::printf("\nFound by text, best first\n");
  print_searches(searches, pictures.answers);
  if (!pictures.answers.front().said.empty()) std::printf("\nAsked, and answered in its own words\n");
  print_said(pictures.answers);
  fs::create_directories(fs::absolute(arguments.out).parent_path());
  write_file(arguments.out, answers_page("Tessera looks at pictures",
                                         model.folder.filename().string() + ", a model of family " + model.family,
                                         pictures.answers, searches));
  std::printf("\nThe page with all answers: %s\n", fs::absolute(arguments.out).c_str());
  finish_output();
  return 0;
}

const VerbRegistration registration(
    "demo", "Name, find and question the demo pictures in several languages, and write a page", [](CLI::App& command) {
      auto arguments = std::make_shared<DemoArguments>();
      command.add_option("--model", arguments->model, "Model folder (default: the shipped model)");
      command.add_option("--pictures", arguments->pictures, "Folder of pictures")->capture_default_str();
      command.add_option("--labels", arguments->labels, "Folder of LANGUAGE.txt, one label a line")
          ->capture_default_str();
      command.add_option("--searches", arguments->searches, "File of searches: language, tab, query")
          ->capture_default_str();
      command.add_option("--questions", arguments->questions, "File of questions: picture or *, tab, question")
          ->capture_default_str();
      command.add_option("--out", arguments->out, "The page")->capture_default_str();
      command.add_option("--top", arguments->top, "Answers per language on the page")
          ->capture_default_str()
          ->check(CLI::PositiveNumber);
      return [arguments] { return demo(*arguments); };
    });

}  // namespace
}  // namespace tessera::apps

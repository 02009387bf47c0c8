#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "bench.h"
#include "core/error.h"
#include "core/files.h"
#include "tasks/classify.h"

namespace tessera::bench {
namespace {

const std::vector<std::string> kLabels = {"sun",   "tree", "house",    "cat",   "fish",
                                          "heart", "star", "umbrella", "apple", "car"};

}  // namespace

std::vector<Comparison> process(int runs) {
  std::filesystem::path folder;
  try {
    folder = default_model_folder();
  } catch (const Error& error) {
    std::fprintf(stderr, "bench: %s; the lines about it are left out\n", error.what());
    return {};
  }
  const std::string picture = std::string(TESSERA_SOURCE) + "/demo/pictures/cat.svg";
  std::string labels;
  for (const auto& label : kLabels) labels += (labels.empty() ? "" : ",") + label;
  const auto start = [] { run_program(TESSERA_BINARY, {"--version"}); };
  const auto whole = [&] { run_program(TESSERA_BINARY, {"--quiet", "classify", picture, "--labels", labels}); };
  const Pair processes = interleave(runs, whole, start);

  const double added = std::max(processes.ours - processes.peer, 1e-3);

  const Model model = load_model(folder);
  const PictureClassifier classifier(model, {.labels = kLabels, .templates = {}, .text = {}});
  const auto answer = [&] {
    const std::string bytes = read_file(picture);
    const Bytes view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    const Tensor pixels = prepare_picture(classifier.processor(), view, picture).unsqueeze(0);
    classifier.best(classifier.probabilities(pixels)[0], 1);
  };
  const Pair inside = interleave(runs, answer, start);
  const Pair loaded = interleave(
      runs, [&] { load_model(folder); }, start);
  return {{"classify one picture", "loaded model to answer", "start of the program (--version)", inside.ours,
           inside.peer, "ms", inside.ratio},
          {"load the default model", "folder to model", "start of the program (--version)", loaded.ours, loaded.peer,
           "ms", loaded.ratio},
          {"classify one picture, as a process", "what it adds to the start", "start of the program (--version)", added,
           processes.peer, "ms", processes.peer / added}};
}

}  // namespace tessera::bench

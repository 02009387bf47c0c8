#include "tasks/embed.h"

#include <charconv>
#include <cstdio>

#include "apps/picture_arguments.h"
#include "core/files.h"
#include "io/npy.h"

namespace tessera::apps {
namespace {

namespace fs = std::filesystem;

struct EmbedArguments {
  PictureArguments pictures;
  std::vector<std::string> texts;
  std::string out;
  bool raw = false;
};

/// With as many digits as give every float back.
std::string line_of(const std::string& input, const Tensor& vector) {
  std::string line = "{\"input\":" + json_line(input) + ",\"embedding\":[";
  for (int64_t i = 0; i < vector.numel(); ++i) {
    char text[32];
    const auto end = std::to_chars(text, text + sizeof text, vector.data_ptr<float>()[i]).ptr;
    line.append(i == 0 ? "" : ",").append(text, end);
  }
  return line + "]}\n";
}

/// Where vectors go: standard output, a JSONL file, or an .npy file with the names beside it.
class Sink {
 public:
  explicit Sink(const fs::path& out) : out_(out), npy_(out.extension() == ".npy") {
    if (out.empty()) return;
    if (!npy_ && out.extension() != ".jsonl")
      throw Error("is neither .npy nor .jsonl", out.string(), "give one of them");
    if (fs::is_directory(out)) throw Error("is a folder", out.string(), "give a file");
    file_ = std::make_unique<AtomicFile>(npy_ ? fs::path(out).replace_extension(".txt") : out);
  }
  void add(const std::string& input, const Tensor& vector) {
    if (npy_) rows_.push_back(vector.clone());
    const std::string line = npy_ ? input + "\n" : line_of(input, vector);
    if (file_)
      file_->write(line);
    else
      std::fwrite(line.data(), 1, line.size(), stdout);
  }
  void finish() {
    if (npy_ && rows_.empty()) throw Error("there is nothing to write", out_.string(), "no picture could be read");
    if (npy_) save_npy(out_, torch::stack(rows_));
    if (file_) file_->commit();
    finish_output();
  }

 private:
  fs::path out_;
  bool npy_;
  std::unique_ptr<AtomicFile> file_;
  std::vector<Tensor> rows_;
};

int embed(const EmbedArguments& arguments) {
  std::vector<PictureInput> inputs;
  const bool pictures = !arguments.pictures.images.empty() || arguments.pictures.stdin_list;
  if (pictures) inputs = arguments.pictures.inputs();
  if (!pictures && arguments.texts.empty()) throw Error("nothing to embed", "arguments", "give pictures or --text");
  Sink sink(arguments.out);
  const Model model = open_model(arguments.pictures.model, arguments.pictures.precision, arguments.pictures.device);
  const auto finished = [&](const Tensor& features) { return arguments.raw ? features : unit(features); };
  int status = 0;
  if (pictures) {
    const ImageEmbedder embedder(model);
    feed_pictures(embedder.processor(), inputs, arguments.pictures.feed(status), [&](const PictureBatch& batch) {
      const Tensor vectors = finished(embedder.embed(batch.pictures.pixel_values));
      for (size_t i = 0; i < batch.indices.size(); ++i)
        sink.add(inputs[batch.indices[i]].name, vectors[static_cast<int64_t>(i)]);
    });
  }
  if (!arguments.texts.empty()) {
    const TextEmbedOptions options{.batch = arguments.pictures.batch, .truncate = arguments.pictures.truncate};
    const Tensor vectors = finished(TextEmbedder(model).embed(arguments.texts, options));
    for (size_t i = 0; i < arguments.texts.size(); ++i) sink.add(arguments.texts[i], vectors[static_cast<int64_t>(i)]);
  }
  sink.finish();
  return status;
}

std::function<int()> declare(CLI::App& command) {
  auto arguments = std::make_shared<EmbedArguments>();
  command.add_option("--text", arguments->texts, "A text; may be repeated")->allow_extra_args(false);
  command.add_option("--out", arguments->out,
                     "FILE.npy (names go to FILE.txt) or FILE.jsonl (default: JSONL, printed)");
  command.add_flag("--raw", arguments->raw, "As the model gives them, not of length one");
  arguments->pictures.declare(command, {.truncate = "texts"});
  command.footer("Example: tessera embed pictures --text \"a cat\" --out vectors.npy");
  return [arguments] { return embed(*arguments); };
}

const VerbRegistration registration("embed", "Turn pictures and texts into vectors", declare);

}  // namespace
}  // namespace tessera::apps

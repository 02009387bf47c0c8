#include "tasks/search.h"

#include <cstdio>

#include "apps/picture_arguments.h"
#include "data/image_folder.h"
#include "tasks/classify.h"

namespace tessera::apps {
namespace {

namespace fs = std::filesystem;

struct SearchArguments {
  PictureArguments pictures;
  std::vector<std::string> queries;
  std::string index, out, in;
  int64_t top = 10;
  bool json = false, rebuild = false;
};

/// @return the exit status
int build(const SearchArguments& arguments, const fs::path& file, const Model& model) {
  int status = 0;
  const IndexOptions options{.feed = arguments.pictures.feed(status), .rebuild = arguments.rebuild};
  const IndexChanges changes = update_index(arguments.index, file, model, options);
  try {
    remember_index(file);
  } catch (const Error& error) {
    std::fprintf(stderr, "tessera: the index is built, but not remembered: %s\n", error.what());
  }
  const auto number = [](int64_t value) { return static_cast<long long>(value); };
  std::fprintf(stderr, "%s: %lld pictures (%lld encoded, %lld kept, %lld removed, %lld bad)\n", file.c_str(),
               number(changes.encoded + changes.kept), number(changes.encoded), number(changes.kept),
               number(changes.removed), number(changes.bad));
  return status;
}

/// A file, standard input, or what looks like a file's name: a mistyped name must not become a text.
bool is_picture(const std::string& query) {
  std::error_code ignored;  // a text may be too long for a name
  return query == "-" || fs::is_regular_file(query, ignored) ||
         (has_picture_extension(query) && query.find(' ') == std::string::npos);
}

Tensor encode(const std::string& query, const Model& model, bool truncate) {
  if (!is_picture(query)) return TextEmbedder(model).embed(std::span(&query, 1), {.truncate = truncate})[0];
  const auto inputs = expand_inputs({query});
  const ImageEmbedder embedder(model);
  Tensor vector;
  feed_pictures(embedder.processor(), inputs, {},
                [&](const PictureBatch& batch) { vector = embedder.embed(batch.pictures.pixel_values)[0]; });
  return vector;
}

void print(const std::string& query, const std::vector<Found>& results, bool json) {
  if (json) {
    Json list = Json::array();
    for (const auto& [path, score] : results) list.push_back({{"path", path}, {"score", six_digits(score)}});
    std::printf("%s\n", json_line({{"query", query}, {"results", list}}).c_str());
    return;
  }
  std::printf("%s\n", query.c_str());
  for (const auto& [path, score] : results) std::printf("  %7.4f  %s\n", double{score}, path.c_str());
}

/// The model that was named, else the one that the index was built with where it still lies there.
Model model_for(const SearchArguments& arguments, const PictureIndex& index) {
  std::error_code ignored;
  const bool recorded = arguments.pictures.model.empty() && fs::exists(index.model, ignored);
  Model model = open_model(recorded ? index.model : fs::path(arguments.pictures.model), arguments.pictures.precision,
                           arguments.pictures.device);
  if (model_fingerprint(model) != index.fingerprint)
    throw Error("was built with another model than " + model.folder.string(), index.file.string(),
                "give its model with --model, or build the index again with --rebuild");
  return model;
}

int search(const SearchArguments& arguments) {
  if (arguments.queries.empty() && arguments.index.empty())
    throw Error("nothing to search for", "arguments", "give a text or a picture, or --index FOLDER to build an index");
  if (arguments.index.empty() && (arguments.rebuild || !arguments.out.empty()))
    throw Error("is about building an index", arguments.rebuild ? "--rebuild" : "--out", "give --index FOLDER with it");
  int status = 0;
  fs::path file;
  if (!arguments.index.empty()) {
    if (!fs::is_directory(arguments.index))
      throw Error("is no folder", arguments.index, "give the folder that holds the pictures");
    file = index_file(arguments.out.empty() ? arguments.index : arguments.out);
    const PictureArguments& pictures = arguments.pictures;
    status = build(arguments, file, open_model(pictures.model, pictures.precision, pictures.device));
  } else {
    file = arguments.in.empty() ? usual_index() : index_file(arguments.in);
  }
  if (arguments.queries.empty()) return status;
  const PictureIndex index = PictureIndex::load(file);
  const Model model = model_for(arguments, index);
  for (const std::string& query : arguments.queries)
    print(query, search_index(index, encode(query, model, arguments.pictures.truncate), arguments.top), arguments.json);
  finish_output();
  return status;
}

std::function<int()> declare(CLI::App& command) {
  auto arguments = std::make_shared<SearchArguments>();
  command.add_option("queries", arguments->queries, "Texts, or pictures to find similar ones of");
  auto* index = command.add_option("--index", arguments->index, "Build or update the index of this folder of pictures");
  command.add_option("--out", arguments->out, "Where to keep it (default: FOLDER/.tessera-index)");
  command.add_option("--in", arguments->in, "Index to search (default: that of this folder, else the one built last)")
      ->excludes(index);
  command.add_option("--top", arguments->top, "How many pictures to print")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--json", arguments->json, "One JSON object a line");
  command.add_flag("--rebuild", arguments->rebuild, "Encode everything again, also with another model");
  arguments->pictures.declare(
      command, {.truncate = "queries", .model = "the index's, else the one that Tessera ships", .images = false});
  command.footer("Example: tessera search --index pictures && tessera search \"a red flower\" --top 3");
  return [arguments] { return search(*arguments); };
}

const VerbRegistration registration("search", "Index a folder of pictures, and find pictures by text or picture",
                                    declare);

}  // namespace
}  // namespace tessera::apps

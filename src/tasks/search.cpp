#include "tasks/search.h"

#include <sstream>

#include "core/files.h"
#include "io/checkpoint.h"
#include "tasks/classify.h"

namespace tessera {
namespace fs = std::filesystem;
namespace {

const char* const kFolder = ".tessera-index";
const char* const kName = "index.safetensors";
const char* const kFormat = "tessera-picture-index-1";
const char* const kRemedy = "build it again with --rebuild";

fs::path state_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state && *state) return fs::path(state) / "tessera" / "last-index";
  const char* home = std::getenv("HOME");
  return home && *home ? fs::path(home) / ".local" / "state" / "tessera" / "last-index" : fs::path();
}

/// A path may be any bytes; JSON holds UTF-8.
std::string entry_line(const IndexEntry& entry) {
  try {
    return write_options(entry).dump();
  } catch (const Json::exception&) {
    throw Error("the name is not UTF-8", entry.path, "rename the file");
  }
}

Tensor bytes_of(const std::string& text) {
  return torch::from_blob(const_cast<char*>(text.data()), {static_cast<int64_t>(text.size())}, torch::kUInt8).clone();
}

std::vector<IndexEntry> parse_entries(const Tensor& bytes, const std::string& where) {
  const Tensor whole = bytes.contiguous();
  std::istringstream lines(
      std::string(reinterpret_cast<const char*>(whole.data_ptr<uint8_t>()), static_cast<size_t>(whole.numel())));
  std::vector<IndexEntry> entries;
  for (std::string line; std::getline(lines, line);)
    entries.push_back(read_options<IndexEntry>(parse_json(line, where), where));
  return entries;
}

std::string value_of(const Checkpoint& checkpoint, const std::string& key) {
  const auto found = checkpoint.metadata().find(key);
  if (found == checkpoint.metadata().end()) throw Error("is no picture index", checkpoint.path().string());
  return found->second;
}

PictureIndex read_index(const fs::path& file) {
  const std::string where = file.string();
  const Checkpoint checkpoint = Checkpoint::open(file);
  if (value_of(checkpoint, "format") != kFormat) throw Error("is no picture index", where);
  PictureIndex index{
      file, value_of(checkpoint, "folder"), value_of(checkpoint, "model"), value_of(checkpoint, "fingerprint"), {}, {}};
  index.vectors = checkpoint.tensor("vectors");
  const Tensor entries = checkpoint.tensor("entries");
  if (index.vectors.dim() != 2 || index.vectors.scalar_type() != torch::kFloat32 ||
      entries.scalar_type() != torch::kUInt8)
    throw Error("holds tensors of another kind", where);
  index.entries = parse_entries(entries, where);
  if (index.vectors.size(0) != static_cast<int64_t>(index.entries.size()))
    throw Error("has " + std::to_string(index.vectors.size(0)) + " vectors for " +
                    std::to_string(index.entries.size()) + " pictures",
                where);
  // A folder that was moved with its index takes it along.
  if (file.parent_path().filename() == kFolder) index.folder = file.parent_path().parent_path();
  return index;
}

}  // namespace

PictureIndex PictureIndex::load(const fs::path& file) {
  std::error_code failure;
  if (fs::status(file, failure).type() == fs::file_type::not_found)
    throw Error("there is no index", file.string(), "build one: tessera search --index FOLDER");
  if (failure) throw Error("cannot be read: " + failure.message(), file.string());
  try {
    return read_index(file);
  } catch (const Error& error) {
    throw Error(error.problem(), error.where(), kRemedy);  // it was made here: there is nowhere to fetch it again
  }
}

void PictureIndex::save() const {
  std::string lines;
  for (const IndexEntry& entry : entries) lines += entry_line(entry) + "\n";
  save_checkpoint(
      file, {{"vectors", vectors}, {"entries", bytes_of(lines)}},
      {{"format", kFormat}, {"folder", folder.string()}, {"model", model.string()}, {"fingerprint", fingerprint}},
      SIZE_MAX);
}

fs::path index_file(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked at is named by whoever opens it
  if (path.extension() == ".safetensors" && !fs::is_directory(path, ignored)) return path;
  if (!fs::exists(path / kFolder, ignored) && fs::exists(path / kName, ignored)) return path / kName;
  return path / kFolder / kName;
}

void remember_index(const fs::path& file) {
  const fs::path state = state_file();
  if (!state.empty()) write_file(state, fs::absolute(file).string() + "\n");
}

fs::path usual_index() {
  if (const fs::path here = index_file("."); fs::exists(here)) return here.lexically_normal();
  const char* remedy = "name it with --in, or build one: tessera search --index FOLDER";
  const fs::path state = state_file();
  std::string last = state.empty() || !fs::exists(state) ? "" : read_file(state);
  while (last.ends_with('\n')) last.pop_back();
  if (last.empty()) throw Error("no index was built yet", "--in", remedy);
  if (!fs::exists(last)) throw Error("the index that was built last is gone", last, remedy);
  return last;
}

std::vector<Found> search_index(const PictureIndex& index, const Tensor& query, int64_t top) {
  if (query.numel() != index.vectors.size(1))
    throw Error("has vectors of " + std::to_string(index.vectors.size(1)) + " numbers, the query has " +
                    std::to_string(query.numel()),
                index.file.string(), kRemedy);
  const torch::NoGradGuard no_gradient;
  const Tensor scores = torch::mv(index.vectors, unit(query.reshape(-1).to(torch::kFloat32)));
  std::vector<Found> results;
  for (const auto& [row, score] : best_of(scores, top))
    results.push_back(
        {(index.folder / index.entries[static_cast<size_t>(row)].path).lexically_normal().string(), score});
  return results;
}

}  // namespace tessera

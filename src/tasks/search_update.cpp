#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>

#include "core/files.h"
#include "tasks/search.h"

namespace tessera {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

/// Holds an index against a second writer; the system frees it when the process ends in whatever way.
class Lock {
 public:
  explicit Lock(const fs::path& index) {
    std::error_code ignored;
    if (index.has_parent_path()) fs::create_directories(index.parent_path(), ignored);
    const std::string path = index.string() + ".lock";
    file_ = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
    if (file_ < 0) throw Error(std::string("cannot be written: ") + std::strerror(errno), index.string());
    if (::flock(file_, LOCK_EX | LOCK_NB) == 0) return;
    ::close(file_);
    throw Error("is being updated by another process", index.string(), "try again when it is done");
  }
  ~Lock() { ::close(file_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  int file_;
};

/// What a writer that was killed left. Only the holder of the lock may do this.
void remove_leftovers(const fs::path& index) {
  const std::string prefix = index.filename().string() + ".tmp.";
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::absolute(index).parent_path(), ignored))
    if (entry.path().filename().string().starts_with(prefix)) fs::remove(entry.path(), ignored);
}

uint64_t hash_of(const fs::path& path) {
  const std::string bytes = read_file(path);
  return hash_bytes(bytes.data(), bytes.size());
}

/// One spelling for a folder, however it was given.
fs::path spelled_out(const fs::path& folder) {
  const fs::path path = fs::absolute(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();  // "pictures/"
}

struct Row {
  IndexEntry entry;
  Tensor vector;  // D
};

/// Rows under way: those of the old index that still hold, and the new ones.
class Update {
 public:
  Update(const fs::path& folder, const fs::path& file, const Model& model, const IndexOptions& options)
      : folder_(folder), options_(options), embedder_(model) {
    index_.file = file;
    index_.folder = spelled_out(folder);
    index_.model = spelled_out(model.folder);
    index_.fingerprint = model_fingerprint(model);
    if (fs::exists(file) && !options.rebuild) read_old();
  }

  IndexChanges run() {
    const auto pictures = pictures_below(folder_);
    if (pictures.empty()) throw Error("holds no pictures", folder_.string(), "JPEG, PNG, WebP, GIF and SVG are read");
    for (const fs::path& picture : pictures) plan(picture);
    changes_.removed = static_cast<int64_t>(by_path_.size());
    try {
      encode();
    } catch (...) {
      if (changes_.encoded > 0) save();  // what was done is not lost with what could not be
      throw;
    }
    save();
    return changes_;
  }

 private:
  void read_old() {
    old_ = PictureIndex::load(index_.file);
    if (old_.fingerprint != index_.fingerprint)
      throw Error("was built with another model (" + old_.model.string() + ")", index_.file.string(),
                  "give that one with --model, or build the index again with --rebuild");
    same_folder_ = spelled_out(old_.folder) == index_.folder;
    for (size_t i = 0; i < old_.entries.size(); ++i) {
      by_path_[old_.entries[i].path] = i;
      by_hash_[{old_.entries[i].hash, old_.entries[i].size}] = i;
    }
  }

  /// Keeps the vector of a picture, or puts it on the list of what is to be encoded.
  void plan(const fs::path& picture) {
    IndexEntry entry;
    entry.path = picture.lexically_relative(folder_).string();
    struct stat info {};
    if (::stat(picture.c_str(), &info) != 0) return;  // gone since it was listed
    entry.size = info.st_size;
    entry.modified = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
    const auto same = by_path_.find(entry.path);
    const IndexEntry* before = same == by_path_.end() ? nullptr : &old_.entries[same->second];
    // The names and times of another folder's pictures say nothing about these.
    if (before && same_folder_ && before->size == entry.size && before->modified == entry.modified) {
      entry.hash = before->hash;
      keep(entry, same->second);
    } else if (readable(picture, entry)) {
      const auto known = by_hash_.find({entry.hash, entry.size});
      if (known != by_hash_.end()) {
        keep(entry, known->second);
      } else {
        inputs_.push_back({picture.string()});
        wanted_.push_back(entry);
      }
    }
    if (same != by_path_.end()) by_path_.erase(same);
  }

  bool readable(const fs::path& picture, IndexEntry& entry) {
    try {
      entry.hash = hash_of(picture);
      return true;
    } catch (const Error& error) {
      if (!options_.feed.bad) throw;
      options_.feed.bad(0, error);
      ++changes_.bad;
      return false;
    }
  }

  void keep(const IndexEntry& entry, size_t row) {
    rows_.push_back({entry, old_.vectors[static_cast<int64_t>(row)]});
    ++changes_.kept;
  }

  void encode() {
    FeedOptions feed = options_.feed;
    if (feed.bad) {
      feed.bad = [this](size_t index, const Error& error) {
        ++changes_.bad;
        options_.feed.bad(index, error);
      };
    }
    saved_ = Clock::now();
    feed_pictures(embedder_.processor(), inputs_, feed, [this](const PictureBatch& batch) {
      const Tensor vectors = unit(embedder_.embed(batch.pictures.pixel_values));
      for (size_t i = 0; i < batch.indices.size(); ++i)
        rows_.push_back({wanted_[batch.indices[i]], vectors[static_cast<int64_t>(i)]});
      changes_.encoded += vectors.size(0);
      if (std::chrono::duration<double>(Clock::now() - saved_).count() >= options_.save_every) save();
    });
  }

  void save() {
    if (rows_.empty()) throw Error("no picture of it could be read", folder_.string());
    // By path, so that equal scores are answered in one order however the index came to be.
    std::sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) { return a.entry.path < b.entry.path; });
    std::vector<Tensor> vectors;
    index_.entries.clear();
    for (const Row& row : rows_) index_.entries.push_back(row.entry), vectors.push_back(row.vector);
    index_.vectors = torch::stack(vectors);
    index_.save();
    saved_ = Clock::now();
  }

  fs::path folder_;
  IndexOptions options_;
  ImageEmbedder embedder_;
  PictureIndex index_, old_;
  bool same_folder_ = false;               // the old index is of the same pictures
  std::map<std::string, size_t> by_path_;  // rows of the old index that no picture claimed yet
  std::map<std::pair<uint64_t, int64_t>, size_t> by_hash_;
  std::vector<Row> rows_;
  std::vector<PictureInput> inputs_;
  std::vector<IndexEntry> wanted_;  // beside inputs_
  IndexChanges changes_;
  Clock::time_point saved_;
};

}  // namespace

IndexChanges update_index(const fs::path& folder, const fs::path& file, const Model& model,
                          const IndexOptions& options) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    throw Error("is no folder", folder.string(), "give the folder that holds the pictures");
  const Lock lock(file);
  remove_leftovers(file);
  return Update(folder, file, model, options).run();
}

}  // namespace tessera

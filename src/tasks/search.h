#pragma once
#include "tasks/embed.h"

namespace tessera {

/// A picture of an index, as it was when it was encoded.
struct IndexEntry {
  std::string path;      ///< below the folder
  int64_t size = 0;      ///< bytes
  int64_t modified = 0;  ///< nanoseconds
  uint64_t hash = 0;     ///< of the content
};
TESSERA_OPTIONS(IndexEntry, path, size, modified, hash)

/// Unit vectors of the pictures of a folder, in one safetensors file: tensor "vectors" (float32, N x D), tensor
/// "entries" (the bytes of a JSONL, one IndexEntry a line) and, as metadata, which folder and which model. One file, so
/// that vectors and names cannot come apart however a writer ends.
struct PictureIndex {
  std::filesystem::path file;    ///< where it lies
  std::filesystem::path folder;  ///< whose pictures they are
  std::filesystem::path model;   ///< the model's folder when it was built
  std::string fingerprint;       ///< model_fingerprint()
  std::vector<IndexEntry> entries;
  Tensor vectors;  ///< N x D

  /// @throws Error when there is none, or it is damaged
  static PictureIndex load(const std::filesystem::path& file);
  /// Writes it under a temporary name first. @throws Error
  void save() const;
};

struct IndexOptions {
  FeedOptions feed;
  bool rebuild = false;    ///< encode everything again, also with another model
  double save_every = 20;  ///< seconds of work that a kill may lose
};

/// What an update did, in pictures.
struct IndexChanges {
  int64_t encoded = 0, kept = 0, removed = 0, bad = 0;
};

/// Brings the index of a folder up to date: what is new or has other content is encoded, what was only touched or moved
/// keeps its vector, what is gone is dropped. A kill at any time leaves an index that the next update goes on from.
/// @param file  the index; see index_file()
/// @throws Error when the index belongs to another model or is being updated by another process, or a picture is bad
IndexChanges update_index(const std::filesystem::path& folder, const std::filesystem::path& file, const Model& model,
                          const IndexOptions& options = {});

/// The index that a path means: a .safetensors file itself, a folder's .tessera-index/index.safetensors, or
/// index.safetensors in a folder that holds one.
std::filesystem::path index_file(const std::filesystem::path& path);

/// Which index was built last; remembered in ${XDG_STATE_HOME:-~/.local/state}/tessera/last-index.
void remember_index(const std::filesystem::path& file);
/// The index of the current folder, else the one built last. @throws Error when there is neither
std::filesystem::path usual_index();

struct Found {
  std::string path;
  float score;  ///< cosine
};

/// The `top` pictures whose vectors are nearest to the query, best first.
/// @param query  D, any length
std::vector<Found> search_index(const PictureIndex& index, const Tensor& query, int64_t top);

}  // namespace tessera

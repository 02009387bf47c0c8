#pragma once
#include <map>
#include <string>
#include <vector>

#include "io/image.h"

namespace tessera {

/// What several pictures may show: a symbol in all its styles, or one icon.
struct Concept {
  std::string id;                                            ///< "1f600", "icon:mdi:account"
  std::map<std::string, std::string> names;                  ///< language -> caption
  std::map<std::string, std::vector<std::string>> keywords;  ///< language -> words that also fit
  std::string group;                                         ///< of emoji: "food-drink"; empty: none
  bool seen = true;                                          ///< false: held out, never trained on
  bool skin_tone = false;                                    ///< a variant with a skin-tone modifier
};

/// The class of pictures that show it: its "group" or its (English) "name"; empty where it has none.
/// @throws Error for another word
std::string class_of(const Concept& item, const std::string& by);

/// One picture and what it shows.
struct Picture {
  Image pixels;               ///< RGBA; the colours are premultiplied with alpha, so that they can be interpolated
  int64_t concept_index = 0;  ///< into Pictures::concepts
  std::string key;            ///< name of the member in its shard
  std::string style, split;
};

/// Captioned pictures in memory, as `tessera data icons` writes them: WebDataset shards of KEY.png and KEY.json; or
/// those of Fashion-MNIST, each of its classes one concept with a group of its own.
struct Pictures {
  std::vector<Concept> concepts;
  std::vector<Picture> pictures;

  /// Reads and decodes shards and adds what they hold; pictures of one concept find each other by its id.
  /// @param patterns  files, patterns such as "data/icons/train-*.tar", or "fashion-mnist:train" and
  ///                  "fashion-mnist:test", which the Debian package dataset-fashion-mnist installs; of these also
  ///                  a part, "fashion-mnist:train[0:55000]"
  /// @throws Error when a pattern matches nothing, a shard is damaged or a picture has no description
  void read(const std::vector<std::string>& patterns);
  /// Adds the concepts of a names.jsonl, which have no pictures.
  void read_names(const std::string& path);
  /// `indices` with the pictures of rare concepts listed several times: a concept of n pictures takes part as often as
  /// n^(1 - balance) says, rounded per picture.
  std::vector<int64_t> balanced(const std::vector<int64_t>& indices, double balance) const;
  /// Those to measure a model on, by index: without skin tones, and of them `limit` (0: all) evenly spread.
  /// @param seen_only  symbols of the training set alone
  std::vector<size_t> to_test(int64_t limit, bool seen_only = true) const;
  /// The index of a concept, which is added when it is new.
  int64_t add_concept(Concept item);

 private:
  void read_shards(const std::vector<std::string>& patterns);
  void read_fashion_mnist(bool train, size_t begin, size_t end);

  std::map<std::string, int64_t> by_id_;
};

/// The picture on white, RGB.
Image on_white(const Image& premultiplied);

/// Any picture as RGBA with colours premultiplied by alpha, rounded to bytes.
Image premultiply(const Image& image);

}  // namespace tessera

#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/options.h"
#include "io/image.h"

namespace tessera {

/// One item of a dataset: a picture and what is said about it.
struct Sample {
  std::string key;                              ///< its name within the dataset, also for messages
  std::string bytes;                            ///< an image file, undecoded; empty where `image` holds the picture
  Image image;                                  ///< the picture, where the dataset stores pixels
  std::map<std::string, std::string> captions;  ///< per language ("en" where the source names none)
  int64_t label = -1;                           ///< index into Dataset::classes(); -1: none
  Json metadata = Json::object();               ///< all else that the source says
};

/// The picture of a sample, decoded where it is not yet. @throws Error naming the sample
Image picture_of(const Sample& sample, const DecodeOptions& options = {});

/// A finite list of samples with random access. Readers are immutable once opened: get() may be called from many
/// threads.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual size_t size() const = 0;
  /// @throws Error when the sample cannot be read; std::out_of_range when there is none of this index
  virtual Sample get(size_t index) const = 0;
  /// Names of the labels; empty where there are none.
  virtual const std::vector<std::string>& classes() const { return classes_; }

 protected:
  void check_index(size_t index) const;
  std::vector<std::string> classes_;
};

/// Fills captions and label of `sample` from a JSON object, as JSONL and WebDataset files hold it: "captions" (an
/// object of languages), "text" or "caption" (a string, taken as English), "label" (an integer). All of it becomes
/// metadata.
/// @throws Error naming `where` and the key when one of these has another type
void read_sample_json(Json json, const std::string& where, Sample& sample);

}  // namespace tessera

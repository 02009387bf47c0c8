#pragma once
#include <functional>

#include "train/example_reader.h"
#include "vlm/vision_language.h"

namespace tessera {

/// Rows of one or more examples, as one step takes them.
struct TuneBatch {
  TextBatch text;       ///< B x L; type ids are 0 for a prompt and 1 from the first learned token of a row on
  Tensor at;            ///< B x L x 2, int64: each token's place in its example, and which of its row that is;
                        ///< undefined where every row is one example
  Tensor labels;        ///< B x L, int64: the learned tokens, -100 elsewhere
  ImageBatch pictures;  ///< of all rows, in the order of their places; pixel_values undefined: none
  int64_t learned = 0;  ///< how many tokens are
};

struct TuneBatchOptions {
  int64_t batch = 1;     ///< rows
  int64_t capacity = 0;  ///< tokens of a row that examples share; 0: every example has a row of its own
  int64_t seed = 0;
};

/// Makes batches of examples. Batch i is a function of the examples, the options and i alone: every pass over the rows
/// has an order of its own.
class TuneBatches {
 public:
  /// @param model  whose processor and placeholder the pictures take
  TuneBatches(std::vector<TuneExample> examples, const Model& model, const TuneBatchOptions& options);

  int64_t rows() const { return static_cast<int64_t>(rows_.size()); }
  int64_t examples() const { return static_cast<int64_t>(examples_.size()); }
  /// The batch of a step of training. @throws Error for a picture that cannot be read
  TuneBatch make(int64_t number) const;
  /// All rows once, those of similar length together, with a line of progress: for validation.
  void each(const std::function<void(const TuneBatch&)>& take) const;

 private:
  TuneBatch together(const std::vector<size_t>& rows) const;
  int64_t length(size_t row) const;

  std::vector<TuneExample> examples_;
  std::shared_ptr<const ImageProcessor> processor_;
  TuneBatchOptions options_;
  int64_t padding_ = 0;                    // an id that stands for no picture
  std::vector<std::vector<size_t>> rows_;  // the examples of each
};

}  // namespace tessera
